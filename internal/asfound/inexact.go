//go:build linux && !kmsrun_exact

package asfound

import (
	"strconv"
	"syscall"
	"unsafe"
)

// replaced guesses whether a signal that the runtime handles now was ignored before:
// systemd has its services ignore SIGPIPE, unless told otherwise. Of the signals that
// the runtime leaves alone when they are ignored (SIGHUP, SIGINT and those of job
// control) the kernel knows.
func replaced(n int) bool {
	pid, _ := syscall.Getenv("SYSTEMD_EXEC_PID")
	return n == int(syscall.SIGPIPE) && pid == strconv.Itoa(syscall.Getpid())
}

// blocked is the mask of the first thread, less what the runtime unblocks there.
func blocked() (mask Set) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigBlock, 0, uintptr(unsafe.Pointer(&mask)), maskSize, 0, 0)
	return mask
}
