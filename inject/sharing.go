package inject

import (
	"syscall"
	"time"
)

// sharing is what is known of a terminal where the program shares our group: what the
// terminal sends, or a shell, goes to all of it, and the program has it already when
// it comes to us.
type sharing struct {
	had  bool             // the foreground, when last looked, and nobody has continued us since
	look <-chan time.Time // when to look again
}

// foregroundPause is how long we may not know that the foreground was lost.
const foregroundPause = time.Second

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

// beginSharing looks who has the terminal, and plans to look again.
func (l *loop) beginSharing() {
	l.sharing = sharing{had: l.program.terminal.Foreground()}
	if !l.child.OwnGroup() && l.program.terminal.Present() {
		l.sharing.look = time.After(foregroundPause)
	}
}

// lookForeground looks again, once all is dealt with that came while it was as it was.
func (l *loop) lookForeground() {
	for _, s := range counting(arrived(l.Signals), l.paused) {
		l.take(s)
	}
	l.beginSharing()
}

// sentToAll looks at the job later than the signal came: a shell may have taken the
// terminal by then, since ^Z has followed ^C, or ^C has killed a script.
func (h *sharing) sentToAll(s syscall.Signal, now job) bool {
	switch s {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
		h.had = h.had || now.here
		return h.had
	case syscall.SIGTTIN, syscall.SIGTTOU:
		return true // but for a terminal nobody sends these
	default:
		return false
	}
}

// continued tells whether a SIGCONT came to all: one that came to us alone leaves the
// program stopped. Either way the job is where a shell wants it.
func (h *sharing) continued(now job) bool {
	toAll := !now.stopped && (now.here || h.had || now.followed)
	h.had = now.here
	return toAll
}
