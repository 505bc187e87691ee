package inject

import (
	"syscall"
	"time"
)

// expire ends the program as a stop of ours, since its secrets are older than
// watch.max_stale. Whoever is asked to end already does so for that reason.
func (l *loop) expire() {
	l.Expired = nil // said once
	if l.leaving || l.stop == stopToExit {
		return
	}
	under := l.stop != notStopping
	l.stop, l.expired = stopToExit, true
	l.Log.Error("the secrets are too old to go on with; stopping the program", "max_stale", l.Config.Watch.MaxStale, "status", StatusTemporary)
	if !under {
		l.signal(syscall.Signal(l.Config.Child.StopSignal), "stale")
		l.kill = time.After(l.Config.Child.StopTimeout)
	}
}

// verdict is the status of a program that has ended for good: its own, or ours where
// we ended it for the age of its secrets.
func (l *loop) verdict(status Status) Status {
	if l.expired && !l.leaving {
		return Status{Code: StatusTemporary}
	}
	return status
}
