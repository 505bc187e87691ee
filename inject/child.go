package inject

import (
	"errors"
	"os"
	"syscall"
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

// child is one running program. Its one waiter is the goroutine that start begins.
type child struct {
	process *os.Process
	done    chan Status // gets one status, at the end
}

// start starts argv with our standard streams themselves, not copies. The error is
// a *StartError.
func start(argv, environ []string) (*child, error) {
	path, err := findCommand(argv[0], environ)
	if err != nil {
		return nil, startError(argv[0], err)
	}
	process, err := os.StartProcess(path, argv, &os.ProcAttr{
		Env:   nonNil(environ),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
	})
	if err != nil {
		return nil, startError(argv[0], err)
	}
	c := &child{process: process, done: make(chan Status, 1)}
	go c.wait()
	return c, nil
}

// become replaces this process by argv. It returns only on failure, with a
// *StartError.
func become(argv, environ []string) error {
	path, err := findCommand(argv[0], environ)
	if err == nil {
		err = syscall.Exec(path, argv, nonNil(environ))
	}
	return startError(argv[0], err)
}

// nonNil keeps an empty environment empty: os.StartProcess takes nil for ours.
func nonNil(environ []string) []string {
	if environ == nil {
		return []string{}
	}
	return environ
}

func (c *child) wait() {
	state, err := c.process.Wait()
	if err != nil {
		c.done <- Status{Code: StatusFailed} // somebody else reaped it: its status is lost
		return
	}
	ws := state.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		c.done <- Status{Signal: ws.Signal()}
		return
	}
	c.done <- Status{Code: ws.ExitStatus()}
}

// signal sends a signal; one that comes too late is no fault. os.Process signals
// through a pidfd, so it never hits another process that got the same pid.
func (c *child) signal(s os.Signal) error {
	if err := c.process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
