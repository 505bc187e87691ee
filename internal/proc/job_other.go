//go:build !linux

package proc

import "syscall"

const ownGroupsOnTerminals = false

// StopSelf stops this process.
func StopSelf(syscall.Signal) { _ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP) }

// parentOf can't tell here.
func parentOf(int) int { return 0 }

// Paused can't tell here.
func (p *Process) Paused() bool { return false }
