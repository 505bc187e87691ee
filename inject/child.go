package inject

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
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
	done    chan Status // gets one status, at the end; of one, so that the waiter ends too
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

// ended tells whether the program has ended, be it that nobody took notice yet.
func (c *child) ended() bool {
	if len(c.done) > 0 {
		return true
	}
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, c.process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	return err != nil || info.Signo != 0 // reaped, or ready to be
}

// stopped tells whether the program is stopped, as by SIGTSTP's default action.
func (c *child) stopped() bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.process.Pid))
	i := strings.LastIndex(string(text), ") ") // behind the name, which may hold anything
	return err == nil && i >= 0 && strings.HasPrefix(string(text[i+2:]), "T")
}

// signal sends a signal; one that comes too late is no fault. os.Process signals
// through a pidfd, so it never hits another process that got the same pid.
func (c *child) signal(s os.Signal) error {
	if err := c.process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}
