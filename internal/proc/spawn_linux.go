package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

// spawn starts a program. It returns when the program itself runs, or failed to.
func (t *Table) spawn(spec Spec) (*Process, error) {
	if spec.needsStage() && unix.Access(self, unix.F_OK) == nil { // else /proc is not mounted
		return t.spawnStage(spec)
	}
	if len(spec.Sockets) > 0 {
		return nil, errors.New("listening sockets are passed by way of /proc, which is not mounted")
	}
	pid, err := t.fork(spec, spec.Path, spec.Argv, -1)
	if err != nil {
		return nil, err
	}
	return newProcess(pid, spec.Group), nil
}

// fork forks and executes, with report, if there is one, as a descriptor that passes.
func (t *Table) fork(spec Spec, path string, argv []string, report int) (pid int, err error) {
	files, release, err := spec.descriptors(report)
	if err != nil {
		return 0, err
	}
	defer release()
	attr := &syscall.ProcAttr{Dir: spec.Dir, Env: spec.Environ, Files: files, Sys: &syscall.SysProcAttr{
		Setpgid: spec.Group != OurGroup, Credential: spec.Credential,
	}}
	if os.Getpid() != 1 { // whose end is everybody's
		attr.Sys.Pdeathsig = syscall.SIGKILL
	}
	defer spec.passOn()()
	t.limitCore(t.core.Cur) // while the fork copies it; we are not dumpable anyway
	defer t.limitCore(0)
	return syscall.ForkExec(path, argv, attr)
}

// self is this binary, be it renamed or removed meanwhile.
const self = "/proc/self/exe"

func (s Spec) needsStage() bool {
	return !s.Signals.None() || s.Group == ForegroundGroup || len(s.PIDs) > 0 || len(s.Sockets) > 0
}

// spawnStage starts a program by way of this binary; see package asfound.
func (t *Table) spawnStage(spec Spec) (*Process, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	_ = unix.SetNonblock(pipe[0], true) // so that waiting for it may have an end
	failure := os.NewFile(uintptr(pipe[0]), "stage")
	defer failure.Close()
	if _, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_SETFD, 0); err != nil {
		_ = unix.Close(pipe[1])
		return nil, err
	}
	stage := asfound.Stage{Signals: spec.Signals, Foreground: spec.Group == ForegroundGroup, PIDs: spec.PIDs, Sockets: spec.Sockets, Report: pipe[1]}
	pid, err := t.fork(spec, self, stage.Argv(spec.Path, spec.Argv), pipe[1])
	_ = unix.Close(pipe[1])
	if err != nil {
		return nil, fmt.Errorf("executing kmsrun itself between fork and program: %w", err)
	}
	// The end of the file means that the program runs, or that the stage was killed:
	// whoever waits will hear of that.
	var errno [4]byte
	stopped, err := readReport(failure, pid, errno[:])
	if err != nil {
		if stopped != 0 {
			_ = syscall.Kill(pid, stopped)
		}
		return newProcess(pid, spec.Group), nil
	}
	var ws syscall.WaitStatus
	_ = wait(pid, &ws)
	return nil, syscall.Errno(binary.NativeEndian.Uint32(errno[:]))
}

// readReport reads what a stage has to say. It continues one that ^Z stops, which would
// have us wait for ever, and returns the signal that the program is to have instead.
func readReport(from *os.File, pid int, errno []byte) (stopped syscall.Signal, err error) {
	for {
		_ = from.SetReadDeadline(time.Now().Add(stagePause))
		_, err = io.ReadFull(from, errno)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return stopped, err
		}
		if s := stoppedChild(pid); s != 0 {
			stopped = s
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
}

// stagePause is how long a stage may be stopped.
const stagePause = 20 * time.Millisecond
