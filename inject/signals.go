package inject

import (
	"cmp"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/internal/asfound"
	"github.com/kmsrun/kmsrun/internal/proc"
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

// together is a signal and, where it stops or continues jobs, what counts of all that
// has come by now.
func together(s os.Signal, signals <-chan os.Signal, stopped bool) []os.Signal {
	if s != syscall.SIGCONT && !stopsJob(s) {
		return []os.Signal{s}
	}
	return counting(append([]os.Signal{s}, arrived(signals)...), stopped)
}

// counting leaves out what a SIGCONT makes nothing of, as the kernel does with what is
// pending: signals before it that stop jobs. What comes in one moment the Go runtime
// sorts by number, SIGCONT before SIGTSTP; but unless the job was stopped already,
// nobody would continue it first.
func counting(all []os.Signal, stopped bool) (rest []os.Signal) {
	continued := -1
	for i, s := range all {
		if s == syscall.SIGCONT {
			continued = i
		}
	}
	for i, s := range all {
		if continued < 0 || !stopsJob(s) || stopped && i > continued {
			rest = append(rest, s)
		}
	}
	return rest
}

// arrived takes all that this process has got by now.
func arrived(signals <-chan os.Signal) (all []os.Signal) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGCONT)
	signal.Stop(c) // waits until what is on its way to any channel is there
	for len(signals) > 0 {
		all = append(all, <-signals)
	}
	return all
}

// stopUs stops this process until it is continued, or not at all where that was a
// moment ago, and returns what had come. The job was stopped already if we are about
// to stop for it again.
func stopUs(by os.Signal, signals <-chan os.Signal, stopped bool, still func() bool) (came []os.Signal) {
	number, _ := by.(syscall.Signal)
	proc.StopSelf(number, func() bool {
		came = arrived(signals)
		return !continues(came) && still()
	})
	if continues(came) {
		return counting(came, stopped)
	}
	return slices.DeleteFunc(came, stopsJob) // which was done
}

// stopsUsToo stops this process for a signal that stops jobs, while there is no
// program that it could be for, and returns what came until it was continued.
func stopsUsToo(s os.Signal, signals <-chan os.Signal) (came []os.Signal, stopped bool) {
	if !stopsJob(s) || proc.Orphaned() {
		return nil, false
	}
	return stopUs(s, signals, false, func() bool { return true }), true
}

func continues(signals []os.Signal) bool {
	return slices.Contains(signals, os.Signal(syscall.SIGCONT))
}

// stopsJob tells whether a signal stops a job: whoever sent it, a shell most likely,
// waits for us to stop too.
func stopsJob(s os.Signal) bool {
	return s == syscall.SIGTSTP || s == syscall.SIGTTIN || s == syscall.SIGTTOU
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
