package inject

import (
	"context"
	"errors"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/systemd"
)

// silence is how long a program may say nothing before it is looked at, whether it
// could say that it is ready at all.
const silence = 5 * time.Second

// serviceStarts takes note of another start of the program.
func (l *loop) serviceStarts() {
	s := &l.service
	s.said, s.until = said{}, time.Now().Add(startPatience)
	if s.manager == nil {
		return
	}
	s.reloadEnds() // the new program has the new files
	if s.ready {
		s.tellServed()
		return
	}
	if s.extended {
		s.extended = false
		s.askFor(startPatience)
	}
	notify, checked := l.Config.Child.Notify, l.Config.Health.Checked()
	switch {
	case notify == config.NotifyNever && !checked:
		s.tellReady()
		return
	case notify == config.NotifyAlways:
		s.look = nil
	case checked:
		s.look = time.After(l.Config.Health.Interval)
	default:
		s.look = time.After(silence)
	}
	s.tellStatus("waiting for the program to be ready")
}

// undecided tells whether it is still ours to say that the program is ready.
func (l *loop) undecided() bool {
	s := &l.service
	return !s.ready && !l.stop.begun() && (l.Config.Child.Notify == config.NotifyNever || !s.said.something)
}

// lookReady finds out beside the loop whether a program that says nothing is ready.
func (l *loop) lookReady() {
	s := &l.service
	s.look = nil
	if !l.undecided() {
		return
	}
	pid := l.child.PID()
	ready := func(ctx context.Context) error {
		if systemd.Notifies(ctx, pid) {
			return errNotifies
		}
		return nil
	}
	if l.Config.Health.Checked() {
		ready = l.checkOf(l.Config.Health)
	}
	looked := make(chan error, 1)
	s.looked = looked
	ctx, cancel := context.WithTimeout(l.ctx, max(l.Config.Health.Interval, checkPatience))
	l.watching.Go(func() {
		defer cancel()
		looked <- ready(ctx)
	})
}

var errNotifies = errors.New("the program has code that notifies")

func (l *loop) lookedReady(err error) {
	s := &l.service
	s.looked = nil
	switch {
	case !l.undecided():
	case errors.Is(err, errNotifies):
		l.Log.Info("waiting for the program to tell systemd that it is ready; if it never does, set child.notify: never")
		s.tellStatus("waiting for the program to say READY=1; for one that never does, set child.notify: never")
	case err != nil:
		l.Log.Debug("the health check failed", "err", err)
		s.look = time.After(l.Config.Health.Interval)
	default:
		s.tellReady()
	}
}

// serviceStops says that the service ends for good. A program that ends well by itself
// says so or not, as it likes: told so, systemd would not run ExecStop=, nor heed
// RemainAfterExit=.
func (l *loop) serviceStops(status Status) {
	s := &l.service
	if !s.stopping && (l.leaving || l.stop.aim == stopToExit || s.said.stopping || status.ExitCode() != 0) {
		s.stopping = true
		s.tell("STOPPING=1")
	}
}
