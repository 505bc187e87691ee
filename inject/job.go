package inject

import (
	"os"
	"syscall"
	"time"
)

// jobControl follows the program when a signal such as SIGTSTP stops it: whoever sent
// the signal, a shell most likely, waits for us to stop too. A program that handles
// the signal and goes on is not followed: some mean "another worker" by SIGTTIN.
type jobControl struct {
	check <-chan time.Time // of the program's state; nil when nothing is awaited
	left  int              // checks until the signal counts as handled
}

const (
	jobChecks = 10
	jobPause  = 5 * time.Millisecond
)

func newJobControl() jobControl {
	return jobControl{check: time.After(jobPause), left: jobChecks}
}

// stopWith stops this process if the program is stopped, until SIGCONT.
func (j jobControl) stopWith(c *child) jobControl {
	if c.stopped() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		return jobControl{}
	}
	if j.left--; j.left == 0 {
		return jobControl{}
	}
	j.check = time.After(jobPause)
	return j
}
