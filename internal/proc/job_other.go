//go:build !linux

package proc

import "syscall"

const ownGroupsOnTerminals = false

// StopSelf stops this process.
func StopSelf(syscall.Signal) { _ = syscall.Kill(syscall.Getpid(), syscall.SIGSTOP) }
