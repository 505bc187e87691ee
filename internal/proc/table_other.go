//go:build !linux

package proc

import (
	"errors"
	"syscall"
)

// Lacks is what this platform can't do for a program.
const Lacks = "orphans are not reaped; a program outlives a kmsrun that is killed; on a terminal it shares kmsrun's process group; " +
	"ignored and blocked signals are passed on as far as Go does; a stopped program does not stop kmsrun"

// Table starts and reaps processes.
type Table struct{}

// New begins the table of this process.
func New() *Table { return &Table{} }

// Harden does nothing here.
func Harden() {}

// Soften does nothing here.
func (t *Table) Soften() {}

// Start starts a program. The error is the system's for executing it.
func (t *Table) Start(spec Spec) (*Process, error) {
	if len(spec.Sockets) > 0 {
		return nil, errors.New("child.sockets take Linux")
	}
	files, release, err := spec.descriptors(-1)
	if err != nil {
		return nil, err
	}
	defer release()
	defer spec.passOn()()
	pid, err := syscall.ForkExec(spec.Path, spec.Argv, &syscall.ProcAttr{
		Dir: spec.Dir, Env: spec.Environ, Files: files,
		Sys: &syscall.SysProcAttr{Setpgid: spec.Group != OurGroup, Credential: spec.Credential},
	})
	if err != nil {
		return nil, err
	}
	p := newProcess(pid, spec.Group)
	go p.wait()
	return p, nil
}

func (p *Process) wait() {
	var ws syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(p.pid, &ws, 0, nil); err != syscall.EINTR {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended(ws)
}

// Ended tells whether the process has ended and its status is known.
func (p *Process) Ended() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reaped
}
