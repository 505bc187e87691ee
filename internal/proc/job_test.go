//go:build linux

package proc

import (
	"syscall"
	"testing"
)

// TestStopSelf: a stop that is over before it began is none; if it were one, this test
// would never end.
func TestStopSelf(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN} {
		StopSelf(s, func() bool { return false })
		StopSelf(s, func() bool {
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGCONT) // takes it back
			return true
		})
	}
	StopSelf(syscall.SIGSTOP, func() bool { return false })
}
