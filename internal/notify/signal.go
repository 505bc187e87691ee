package notify

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// SignalFile signals the process whose number is in a file.
func SignalFile(file string, s syscall.Signal) Func {
	return func(context.Context, News) error {
		text, err := readPIDFile(file)
		if err != nil {
			return fmt.Errorf("reading pid_file: %w", err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		switch {
		case err != nil || pid < 1:
			return fmt.Errorf("pid_file %q does not hold the number of a process", file)
		case pid == 1 || pid == os.Getpid():
			return fmt.Errorf("pid_file %q holds %d, which is %s: that is never signalled", file, pid, whose(pid))
		}
		return signalPID(pid, s, nil)
	}
}

// readPIDFile reads no more than a number. The file is another's, who may have put a
// pipe or a device there: neither is waited for.
func readPIDFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no regular file", path)
	}
	return io.ReadAll(io.LimitReader(file, 64))
}

func whose(pid int) string {
	if pid == os.Getpid() {
		return "kmsrun itself"
	}
	return "the init process (or a program's own number, in a PID namespace that is not shared)"
}

// SignalProcess signals the process that runs an executable of this name, or of this
// path if the name has a slash; or whose first argument says so. Of a process and its
// descendants, such as a server and its workers, it is the ancestor.
func SignalProcess(name string, s syscall.Signal) Func {
	return func(context.Context, News) error {
		pid, err := find(name)
		if err != nil {
			return err
		}
		return signalPID(pid, s, func(p process) bool { return p.is(name) })
	}
}

// process is what tells processes apart.
type process struct {
	pid, parent int
	exe, argv0  string // empty where they can't be read
}

func (p process) is(name string) bool {
	if strings.Contains(name, "/") {
		return p.exe == name || p.argv0 == name
	}
	title, _, _ := strings.Cut(p.argv0, ":") // as in "nginx: master process"
	return base(p.exe) == name || base(p.argv0) == name || title == name
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// choose finds the one process of that name among all, or says why there is none.
func choose(name string, all []process) (int, error) {
	matching := map[int]process{}
	for _, p := range all {
		if p.pid != 1 && p.pid != os.Getpid() && p.is(name) {
			matching[p.pid] = p
		}
	}
	parents := map[int]int{}
	for _, p := range all {
		parents[p.pid] = p.parent
	}
	var first []int
	for pid := range matching {
		if !descends(pid, parents, matching) {
			first = append(first, pid)
		}
	}
	switch len(first) {
	case 0:
		return 0, fmt.Errorf("no process runs %q here: is the PID namespace shared (shareProcessNamespace)?", name)
	case 1:
		return first[0], nil
	default:
		return 0, fmt.Errorf("%d processes run %q: say which by its path, or by pid_file", len(first), name)
	}
}

// descends tells whether an ancestor of the process matches too.
func descends(pid int, parents map[int]int, matching map[int]process) bool {
	for range parents { // a loop can't be, but the numbers were read one after the other
		pid = parents[pid]
		if _, ok := matching[pid]; ok {
			return true
		}
		if pid <= 1 {
			return false
		}
	}
	return false
}
