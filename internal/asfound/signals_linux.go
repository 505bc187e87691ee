package asfound

import (
	"runtime"
	"syscall"
	"unsafe"
)

const (
	byDefault = 0
	ignore    = 1

	sigBlock, sigUnblock, sigSetmask = 0, 1, 2

	maskSize = 8
	signals  = 64
)

// action is the kernel's struct sigaction, on amd64 and arm64.
type action struct {
	handler, flags, restorer uintptr
	mask                     Set
}

var here = find()

func find() State {
	s := State{Blocked: blocked()}
	for n := 1; n <= signals; n++ {
		var now action
		_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(n), 0, uintptr(unsafe.Pointer(&now)), maskSize, 0, 0)
		if now.handler == ignore || replaced(n) {
			s.Ignored = s.Ignored.With(n)
		}
	}
	return s
}

// SetDefault sets a signal to its default action behind the runtime's back, and
// returns a function that undoes it.
func SetDefault(n syscall.Signal) (undo func()) {
	var before action
	set(int(n), &action{handler: byDefault}, &before)
	return func() { set(int(n), &before, nil) }
}

// Discard ignores a signal, which takes it back where it is pending.
func Discard(n syscall.Signal) { set(int(n), &action{handler: ignore}, nil) }

func set(n int, a, before *action) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(a)), uintptr(unsafe.Pointer(before)), maskSize, 0, 0)
}

// Block blocks a signal in this thread alone, and returns a function that undoes it.
// The goroutine must be locked to the thread.
func Block(n syscall.Signal) (undo func()) { return change(sigBlock, n) }

// Unblock is the reverse of [Block].
func Unblock(n syscall.Signal) (undo func()) { return change(sigUnblock, n) }

func change(how uintptr, n syscall.Signal) (undo func()) {
	mask, before := Set(0).With(int(n)), Set(0)
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, how, uintptr(unsafe.Pointer(&mask)), uintptr(unsafe.Pointer(&before)), maskSize, 0, 0)
	return func() { setMask(before) }
}

// Exec replaces this process by a program that finds signals so. It returns only on
// failure.
func (s State) Exec(path string, argv, environ []string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s.setActions()
	setMask(s.Blocked)
	return syscall.Exec(path, argv, environ) // which restores the limit of open files too
}

// setActions leaves the runtime the handlers without which Go code can't run; execve
// makes them the default.
func (s State) setActions() {
	for n := 1; n <= signals; n++ {
		switch {
		case s.Ignored.Has(n):
			set(n, &action{handler: ignore}, nil)
		case !needed(syscall.Signal(n)):
			set(n, &action{handler: byDefault}, nil)
		}
	}
}

func needed(n syscall.Signal) bool {
	switch n {
	case syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGURG:
		return true
	default:
		return false
	}
}

func setMask(mask Set) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, sigSetmask, uintptr(unsafe.Pointer(&mask)), 0, maskSize, 0, 0)
}
