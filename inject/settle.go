package inject

import (
	"context"
	"fmt"
	"time"

	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
)

// proven is what the program was last known to do well with.
type proven struct {
	snapshot   secret.Snapshot
	generation render.Generation
}

// settling is the time after a change in which it may be undone. Its zero value is a
// program that has settled.
type settling struct {
	on      bool
	with    proven // what it settles with
	began   time.Time
	settle  <-chan time.Time // health.settle
	late    <-chan time.Time // health.within
	next    <-chan time.Time // check
	checked <-chan error     // a check under way
	cancel  context.CancelFunc

	long    bool  // health.settle is over
	overdue bool  // so is health.within, but nothing may be restarted now
	failure error // of the last check
}

// end is a program that nobody watches any more.
func (s settling) end() settling {
	if s.cancel != nil {
		s.cancel()
	}
	return settling{}
}

// beginSettling watches how the program does after a change. A newer change begins
// anew, and what is proven stays.
func (l *loop) beginSettling() {
	l.settling = l.settling.end()
	h := l.Config.Health
	if !h.On() || len(l.snapshot.Changed(l.proven.snapshot)) == 0 {
		l.prove()
		return
	}
	l.settling = settling{on: true, with: proven{l.snapshot, l.generation}, began: time.Now(), settle: time.After(h.Settle), failure: errNotChecked}
	if h.Checked() {
		l.settling.late, l.settling.next = time.After(h.Within), time.After(h.Interval)
	}
	l.showChild("settling")
}

// prove notes that the program does well with what it has. What a planned restart will
// give it is not among that.
func (l *loop) prove() {
	l.proven = proven{l.snapshot, l.generation}
	if l.settling.on && l.stop.aim == stopToRestart {
		l.proven = l.settling.with
	}
	l.service.reloadEnds()
	if l.settling.on {
		l.Log.Info("the program does well with the new secrets")
		l.showChild("running")
	}
	l.settling = l.settling.end()
}

// proveUnlessTested is prove, where nothing is to be awaited.
func (l *loop) proveUnlessTested() {
	if !l.settling.on && l.stop.aim != stopToRestart {
		l.prove()
	}
}

func (l *loop) settledLongEnough() {
	l.settling.settle, l.settling.long = nil, true
	if !l.Config.Health.Checked() || l.settling.failure == nil {
		l.prove()
	}
}

// tooLate undoes a change that the program does not do well with.
func (l *loop) tooLate() {
	l.settling.late = nil
	if l.settling.overdue = l.busy() || l.stop.phase != running; l.settling.overdue {
		return // a restart that is planned supersedes it
	}
	if l.child.Ended() {
		return // as run is about to hear
	}
	why := fmt.Sprintf("the health check did not pass within %s: %s", l.Config.Health.Within, l.settling.failure)
	if !l.undo(why) {
		l.settling.late = time.After(publishAgain)
		return
	}
	l.rollback = true
	l.stop.phase, l.stop.aim = waiting, stopToRestart
	l.beginStop()
}

// startsAgain tells whether a program that has ended by itself is started again: one
// that a change has ended is, without that change, or with a newer one that was about to
// supersede it.
func (l *loop) startsAgain(superseded bool) bool {
	status := l.child.Status()
	if !l.settling.on || l.leaving || l.asked || status.ExitCode() == 0 {
		return false
	}
	if superseded {
		l.Log.Warn("the program has ended after a change; starting it with the newer one", "status", status.ExitCode())
		l.abandon()
		if l.unflipped {
			return false
		}
		l.settling = l.settling.end()
		return true
	}
	l.rollback = l.undo(fmt.Sprintf("the program ended with status %d, %s after the change", status.ExitCode(), time.Since(l.settling.began).Round(time.Millisecond)))
	return l.rollback
}

// undo publishes the proven generation again, and holds the newer versions back. It
// tells whether that worked, and makes no sense unless something was not proven.
func (l *loop) undo(why string) bool {
	back := l.proven
	changed := l.snapshot.Changed(back.snapshot)
	if len(changed) == 0 {
		return false
	}
	l.abandon()
	if l.unflipped || len(back.generation.Since(l.generation).Files) > 0 {
		if err := publish(l.dir, back.generation, time.Now()); err != nil {
			l.Log.Error("the change can't be undone: its files can't be replaced", "why", why, "err", err)
			return false
		}
		l.unflipped = false
		l.sweepDir()
	}
	l.Metrics.Generation("rolled_back")
	l.Log.Error("the program does not do well with the new secrets; going back to the ones before", "why", why)
	l.holdBack(changed, l.snapshot, why)
	l.snapshot, l.generation = back.snapshot, back.generation
	l.served()
	l.service.newGeneration()
	l.Published(l.snapshot)
	l.Metrics.EnvStale(len(l.generation.Since(l.given).Env) > 0)
	l.settling = l.settling.end()
	l.view.action.Store(&metrics.Action{Action: "rollback", At: time.Now(), Result: why})
	return true
}

func (l *loop) showChild(state string) {
	if child := l.view.child.Load(); child != nil {
		now := *child
		now.State = state
		l.view.child.Store(&now)
	}
}
