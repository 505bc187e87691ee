//go:build !linux

package proc

import "syscall"

const ownGroupsOnTerminals = false

// StopSelf stops this process, if it shall still.
func StopSelf(_ syscall.Signal, still func() bool) {
	if still() {
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP)
	}
}

// parentOf can't tell here.
func parentOf(int) int { return 0 }

// Paused can't tell here.
func (p *Process) Paused() bool { return false }
