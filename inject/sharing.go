package inject

import (
	"syscall"
	"time"
)

// sharing is what is known of a terminal where the program shares our group: what the
// terminal sends, or a shell, goes to all of it, and the program has it already when
// it comes to us.
type sharing struct {
	had    bool             // the foreground, when last looked, and nobody has continued us since
	doubts []syscall.Signal // that came when it was just lost
	decide <-chan time.Time // what becomes of them
}

// doubtful is how long a program may take to stop after ^Z.
const doubtful = 100 * time.Millisecond

// job is what can be seen of a job when a signal is dealt with.
type job struct {
	here     bool // it has the foreground
	stopped  bool // the program is
	followed bool // and we were stopped for it
}

// sentToAll tells whether the program has got a signal from where we have it.
func (l *loop) sentToAll(s syscall.Signal) bool {
	if l.child.OwnGroup() || !l.program.terminal.Present() {
		return false
	}
	if s != syscall.SIGCONT {
		return l.sharing.sentToAll(s, l.job())
	}
	toAll := l.sharing.continued(l.job())
	l.paused = l.paused && !toAll
	return toAll
}

func (l *loop) job() job {
	return job{l.program.terminal.Foreground(), l.child.Paused(), l.paused}
}

// sentToAll looks at the job later than the signal came. If ^Z has followed ^C, a shell
// has taken the terminal by then; but the program is stopped, or about to be.
func (h *sharing) sentToAll(s syscall.Signal, now job) bool {
	switch s {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
	case syscall.SIGTTIN, syscall.SIGTTOU:
		return true // but for a terminal nobody sends these
	default:
		return false
	}
	switch {
	case now.here:
		h.had = true
	case !h.had:
		return false
	case !now.stopped:
		h.doubts = append(h.doubts, s)
		h.decide = time.After(doubtful)
	}
	return true
}

// continued tells whether a SIGCONT came to all: one that came to us alone leaves the
// program stopped. Either way the job is where a shell wants it.
func (h *sharing) continued(now job) bool {
	toAll := !now.stopped && (now.here || h.had || now.followed)
	*h = sharing{had: now.here}
	return toAll
}

// decided are the doubtful signals that no terminal has sent after all: the program
// is not stopped, so it was not ^Z that lost the foreground.
func (h *sharing) decided(now job) []syscall.Signal {
	doubts := h.doubts
	h.doubts, h.decide = nil, nil
	if now.stopped || now.here {
		return nil
	}
	h.had = false
	return doubts
}
