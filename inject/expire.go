package inject

// expire ends the program as a stop of ours, since its secrets are older than
// watch.max_stale. Whoever is asked to end already does so for that reason.
func (l *loop) expire() {
	l.Expired = nil // said once
	if l.leaving || l.stop.aim == stopToExit || l.child.Ended() {
		return
	}
	l.expired, l.stop.aim = true, stopToExit
	l.Log.Error("the secrets are too old to go on with; ending", "max_stale", l.Config.Watch.MaxStale, "status", StatusTemporary)
	if !l.stop.begun() {
		l.beginStop()
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
