package inject

import (
	"cmp"
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Signals starts to collect every signal that concerns the program. The channel is
// deep, because os/signal drops what does not fit. Call it first of all: what
// arrives before the program runs is kept for it. A signal that was ignored on
// entry, as nohup does with SIGHUP, stays ignored, for the program too.
func Signals() <-chan os.Signal {
	var concerned []os.Signal
	for n := syscall.Signal(1); n <= 64; n++ {
		// SIGPIPE is collected only so that a closed stderr does not end us.
		if (forwarded(n) || n == syscall.SIGPIPE) && !signal.Ignored(n) {
			concerned = append(concerned, n)
		}
	}
	c := make(chan os.Signal, 256)
	signal.Notify(c, concerned...)
	return c
}

// forwarded tells whether a signal is passed on to the program. SIGCHLD and SIGURG
// are about this process (the Go runtime sends itself SIGURG all the time). So is
// SIGPIPE: it can't be told from one that our own write to a closed stderr caused.
func forwarded(s os.Signal) bool {
	return s != syscall.SIGCHLD && s != syscall.SIGURG && s != syscall.SIGPIPE
}

// signalName is SIGTERM and the like, as in our settings.
func signalName(s os.Signal) string {
	number, _ := s.(syscall.Signal)
	return cmp.Or(unix.SignalName(number), s.String())
}

// ends tells whether a signal asks a program to end.
func ends(s os.Signal) bool {
	return s == syscall.SIGTERM || s == syscall.SIGINT || s == syscall.SIGQUIT
}

// stops tells whether a signal stops a job: we stop too, or the shell would wait.
func stops(s os.Signal) bool {
	return s == syscall.SIGTSTP || s == syscall.SIGTTIN || s == syscall.SIGTTOU
}

// DieOf ends this process by a signal, so that whoever waits for it sees what it
// would have seen of the program. It returns if the signal does not kill. The
// runtime's own handler is bypassed: for some signals it prints goroutines.
func DieOf(s syscall.Signal) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // our memory holds secrets; the program's core was its own affair
	var byDefault struct {
		handler, flags, restorer uintptr
		mask                     uint64
	}
	const maskSize = 8
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(&byDefault)), 0, maskSize, 0, 0)
	_ = syscall.Kill(os.Getpid(), s)
	for range 100 { // the signal may be delivered to another thread, a moment later
		_ = unix.Nanosleep(&unix.Timespec{Nsec: 1e6}, nil)
	}
}
