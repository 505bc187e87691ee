// Package proc starts, signals and reaps processes. Its table is the one owner of wait:
// nobody else in this program may wait for a child, nor start one. As PID 1, or as a
// child subreaper otherwise, it reaps orphans too.
package proc

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

// Status is how a program ended.
type Status struct {
	Code   int            // exit code; meaningless when Signal is set
	Signal syscall.Signal // that killed it; 0 for none
}

// ExitCode is the status for a shell: 128+n for a death by signal n.
func (s Status) ExitCode() int {
	if s.Signal != 0 {
		return 128 + int(s.Signal)
	}
	return s.Code
}

// Spec is a program to start.
type Spec struct {
	Path           string   // of the executable; not searched
	Argv           []string // with the name first
	Environ        []string
	Dir            string      // empty: ours
	Files          [3]*os.File // standard streams, handed over themselves; nil is ours
	OutputToStderr bool        // standard output is our standard error, whatever Files says
	// Inherit are files that the program gets under the number that they have here.
	// So it gets every descriptor from 3 on that we were started with, unasked.
	Inherit []*os.File
	Sockets []int    // descriptors that it gets as 3, 4 … (Linux)
	PIDs    []string // variables of Environ to set to the process's own id (Linux)

	Group      Group
	Credential *syscall.Credential // nil: ours

	Signals asfound.State // that it finds ignored and blocked
}

// Group says in which process group a program runs.
type Group int

// The groups there are.
const (
	OwnGroup        Group = iota // a new one
	ForegroundGroup              // a new one, which takes our terminal's foreground (Linux)
	OurGroup                     // ours
)

// Process is one started program. A nil one is none: it has not ended and never will.
type Process struct {
	pid     int
	ownsPID bool // its group is its own
	done    chan struct{}
	stops   chan syscall.Signal

	mu     sync.Mutex // held while the table reaps it: a pid is good until then
	reaped bool
	status Status
}

func newProcess(pid int, group Group) *Process {
	return &Process{pid: pid, ownsPID: group != OurGroup, done: make(chan struct{}), stops: make(chan syscall.Signal, 1)}
}

// PID is the process's id, and its group's if that is its own.
func (p *Process) PID() int { return p.pid }

// OwnGroup tells whether the process leads a group of its own.
func (p *Process) OwnGroup() bool { return p.ownsPID }

// Done is closed when the process has ended and its status is known.
func (p *Process) Done() <-chan struct{} {
	if p == nil {
		return nil
	}
	return p.done
}

// Status is how the process ended. It is valid once Done is closed.
func (p *Process) Status() Status {
	if p == nil {
		return Status{}
	}
	return p.status
}

// Stopped gets the signal that stopped the process, as ^Z does; the latest, if
// nobody took the one before.
func (p *Process) Stopped() <-chan syscall.Signal {
	if p == nil {
		return nil
	}
	return p.stops
}

// Signal sends a signal to the process. One that comes too late is no fault, and
// never hits another process: until the table has reaped it, under the same lock,
// its id is not given to another.
func (p *Process) Signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return nil
	}
	return late(syscall.Kill(p.pid, s))
}

// SignalGroup sends a signal to all of the process's group, if that is its own, be
// the process itself still there or not. Otherwise it signals the process.
func (p *Process) SignalGroup(s syscall.Signal) error {
	if !p.ownsPID {
		return p.Signal(s)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped && taken(p.pid) {
		return nil
	}
	return late(syscall.Kill(-p.pid, s))
}

// GroupLeft tells whether anything of the process's own group is left.
func (p *Process) GroupLeft() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ownsPID || p.reaped && taken(p.pid) {
		return false
	}
	return syscall.Kill(-p.pid, 0) != syscall.ESRCH
}

// taken tells whether the id of a process that was reaped belongs to another by now:
// the kernel gives out no id that is still a group's, so the group is gone then.
func taken(pid int) bool { return syscall.Kill(pid, 0) != syscall.ESRCH }

// late makes nothing of the error of a signal to what has ended.
func late(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// ended notes the status. The table calls it once, with p.mu held.
func (p *Process) ended(ws syscall.WaitStatus) {
	p.reaped = true
	if ws.Signaled() {
		p.status = Status{Signal: ws.Signal()}
	} else {
		p.status = Status{Code: ws.ExitStatus()}
	}
	close(p.done)
}

// stoppedBy replaces a signal that nobody took.
func (p *Process) stoppedBy(s syscall.Signal) {
	select {
	case <-p.stops:
	default:
	}
	p.stops <- s // the table alone sends
}
