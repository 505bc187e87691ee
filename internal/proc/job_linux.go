package proc

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

const ownGroupsOnTerminals = true

// StopSelf stops this process by a signal such as SIGTSTP, so that a shell sees what
// it would have seen of the program, and returns when it is continued.
func StopSelf(s syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if s != syscall.SIGSTOP {
		defer asfound.SetDefault(s)()
		defer asfound.Unblock(s)()
	}
	_ = unix.Tgkill(syscall.Getpid(), syscall.Gettid(), s) // takes effect before it returns
}
