package inject

import (
	"cmp"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

// Signals starts to collect every signal that concerns the program. The channel is
// deep, because os/signal drops what does not fit. Call it first of all: what
// arrives before the program runs is kept for it. A signal that was ignored on entry,
// as nohup does with SIGHUP, is ignored in the program too, unless that handles it: so
// it is collected and forwarded as any other.
func Signals() <-chan os.Signal {
	var concerned []os.Signal
	for n := syscall.Signal(1); n <= 64; n++ {
		// SIGPIPE is collected only so that a closed stderr does not end us.
		if forwarded(n) || n == syscall.SIGPIPE {
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

// ends tells whether a signal asks a program to end that found so many ignored.
func ends(s os.Signal, found asfound.State) bool {
	number, _ := s.(syscall.Signal)
	return (s == syscall.SIGTERM || s == syscall.SIGINT || s == syscall.SIGQUIT) && !found.Ignored.Has(int(number))
}

// DieOf ends this process by a signal, so that whoever waits for it sees what it
// would have seen of the program. It returns if the signal does not kill. The
// runtime's own handler is bypassed: for some signals it prints goroutines.
func DieOf(s syscall.Signal) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // our memory holds secrets; the program's core was its own affair
	runtime.LockOSThread()
	asfound.SetDefault(s)
	asfound.Unblock(s)
	_ = syscall.Kill(os.Getpid(), s)
	time.Sleep(100 * time.Millisecond) // the signal may be delivered to another thread, a moment later
}
