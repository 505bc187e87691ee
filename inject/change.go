package inject

import (
	"fmt"
	"slices"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
)

// candidate is a snapshot on its way to be the present one.
type candidate struct {
	snapshot secret.Snapshot
	next     render.Generation
	change   render.Change

	config config.Config // that it was rendered under
	dir    *render.Dir
	edited bool // config is not the present one
}

// busy tells whether nothing may be flipped or restarted now.
func (l *loop) busy() bool { return l.hold.Load() || l.verifying != nil || l.unflipped }

// consider takes the newest snapshot over, if there is one and nothing stands against
// it: it is rendered, verified, published, and told. Until all of that has worked,
// everything stays as it is. What waits is considered again when what it waits for is
// over, and the newest wins.
func (l *loop) consider() {
	if !l.waits || l.busy() {
		return
	}
	if !l.stop.begun() && l.child.Ended() {
		return // a change must not turn its end into a restart
	}
	if l.stop.begun() && len(l.Config.Verify.Exec) > 0 {
		return // it could not be published in time for the start
	}
	l.waits, l.again = false, nil
	c, ok := l.candidate(l.latest)
	switch {
	case !ok:
		return
	case c.change.None():
		if len(c.snapshot.Changed(l.snapshot)) > 0 {
			l.turn(c.snapshot, c.next)
		}
	case len(l.Config.Verify.Exec) > 0:
		l.verify(c)
	default:
		l.takeOver(c)
	}
}

// candidate renders what may be taken over of a snapshot. What can't be rendered is
// held back, and does not hold back the others.
func (l *loop) candidate(latest secret.Snapshot) (c candidate, ok bool) {
	c.config, c.dir = l.Config, l.dir
	c.snapshot = l.admitted(latest)
	next, err := l.renderNext(l.Config, l.dir, c.snapshot)
	if err != nil {
		l.Metrics.Generation("failed")
		for _, failure := range Wrapped(err) {
			l.Log.Error("the new secrets can't be rendered; keeping the present ones", "err", failure)
		}
		l.holdBack(l.unrenderable(c.snapshot), c.snapshot, "it can't be rendered")
		c.snapshot = l.admitted(latest)
		if next, err = l.renderNext(l.Config, l.dir, c.snapshot); err != nil {
			// Each can be, but not all together: the environment would be too long.
			l.holdBack(c.snapshot.Changed(l.snapshot), c.snapshot, "they can't be rendered together")
			return c, false
		}
	}
	c.next, c.change = next, next.Since(l.generation)
	return c, true
}

// unrenderable lists the secrets that can't be rendered with the others as they are.
func (l *loop) unrenderable(snapshot secret.Snapshot) []secret.ID {
	return slices.DeleteFunc(snapshot.Changed(l.snapshot), func(id secret.ID) bool {
		value, _ := snapshot.Get(id)
		_, err := l.renderNext(l.Config, l.dir, l.snapshot.With(id, value))
		return err == nil
	})
}

// takeOver publishes a candidate, makes it the present one, and tells.
func (l *loop) takeOver(c candidate) {
	if len(c.change.Files) > 0 {
		if err := publish(c.dir, c.next, time.Now()); err != nil {
			l.unpublished(c, err)
			return
		}
	}
	l.present(c)
}

// present makes a candidate that is published the present generation, and tells.
func (l *loop) present(c candidate) {
	if c.edited {
		l.goOver(c)
		return
	}
	if l.dir != nil {
		l.sweepDir()
	}
	l.turn(c.snapshot, c.next)
}

// unpublished plans another try.
func (l *loop) unpublished(c candidate, err error) {
	if c.edited {
		l.refused(c, fmt.Errorf("%w: %w", errUnpublished, err))
		return
	}
	l.Metrics.Generation("failed")
	l.Log.Error("the new files can't be published; keeping the present ones and trying again", "err", err, "in", publishAgain)
	l.waits, l.again = true, time.After(publishAgain)
}

func (l *loop) tryAgain() {
	l.again = nil
	if l.unflipped {
		l.flipBack()
	}
	l.goOn()
}

// goOn does what had to wait.
func (l *loop) goOn() {
	if l.stop.due && !l.busy() {
		l.beginStop()
	}
	if l.settling.overdue && !l.busy() {
		l.tooLate()
	}
	if r := l.reload.waiting; r != nil && !l.busy() {
		l.reload.waiting = nil
		l.considerEdit(*r)
	}
	l.consider()
}

// setHold is called from any goroutine.
func (e *Exec) setHold(hold bool) {
	e.hold.Store(hold)
	select {
	case e.holds <- struct{}{}:
	default:
	}
}

func (l *loop) holdChanged() {
	if hold := l.hold.Load(); hold != l.told.hold {
		l.told.hold = hold
		if hold {
			l.Log.Warn("on hold: nothing is published or restarted until POST /-/release")
			return
		}
		l.Log.Info("released")
	}
	l.goOn()
}
