//go:build !linux

package notify

import (
	"errors"
	"syscall"
)

var errLinuxOnly = errors.New("other processes are signalled on Linux only")

func find(string) (int, error) { return 0, errLinuxOnly }

func signalPID(int, syscall.Signal, func(process) bool) error { return errLinuxOnly }
