package notify

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func find(name string) (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, err
	}
	var all []process
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			if p, alive := look(pid); alive {
				all = append(all, p)
			}
		}
	}
	return choose(name, all)
}

// look reads what is known of a process. The executable of another user's can't be
// read, its arguments can.
func look(pid int) (p process, alive bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return p, false
	}
	// The name of the command, in parentheses, may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 || fields[0] == "Z" || fields[0] == "X" {
		return p, false
	}
	p.pid = pid
	p.parent, _ = strconv.Atoi(fields[1])
	exe, _ := os.Readlink(dir + "/exe")
	p.exe = strings.TrimSuffix(exe, " (deleted)") // replaced by an upgrade
	arguments, _ := os.ReadFile(dir + "/cmdline")
	first, _, _ := bytes.Cut(arguments, []byte{0})
	p.argv0 = string(first)
	return p, true
}

// signalPID signals through a pidfd, so that a number that is given to another process
// meanwhile does no harm: still looks at the process once it is held.
func signalPID(pid int, s syscall.Signal, still func(process) bool) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return explain(pid, err)
	}
	defer unix.Close(fd)
	if still != nil {
		if p, alive := look(pid); !alive || !still(p) {
			return explain(pid, unix.ESRCH)
		}
	}
	return explain(pid, unix.PidfdSendSignal(fd, s, nil, 0))
}

func explain(pid int, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("process %d belongs to another user: run both as the same one (runAsUser), or give kmsrun CAP_KILL", pid)
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("process %d is not there any more", pid)
	default:
		return fmt.Errorf("signalling process %d: %w", pid, err)
	}
}
