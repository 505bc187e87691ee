package inject

import (
	"context"
	"sync"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
)

// loop is the program running, or a sidecar, and everything that may happen to it. Its fields
// belong to the goroutine of run.
type loop struct {
	*Exec
	dir      *render.Dir // nil without files
	memory   memoryFiles
	program  program
	child    *proc.Process // nil in a sidecar
	starts   int
	ctx      context.Context // of everything that is watched
	watching sync.WaitGroup
	epoch
	reload reloading

	snapshot   secret.Snapshot   // what generation was rendered from
	generation render.Generation // the newest that is published
	given      render.Generation // what the program was started with
	proven     proven            // the newest that the program is known to do well with

	latest    secret.Snapshot  // the newest that was read
	waits     bool             // latest was not dealt with
	again     <-chan time.Time // another try to publish
	held      held             // versions of it that are not taken over
	verifying *verifying       // a change on its way
	unflipped bool             // files that failed verification are published still
	settling  settling         // of the program after a change
	mailboxes mailboxes
	expired   bool // we stop the program since its secrets are too old

	stop     stopping         // of ours
	rollback bool             // it is to undo a change
	leaving  bool             // somebody asked the program to end: no more restarts
	asked    bool             // the program got a signal that asks to end, as it may understand it
	pace     pace             // of our restarts
	kept     []syscall.Signal // for the next start, while there is no program
	paused   bool             // the program was stopped, and we with it
	sharing  sharing          // its terminal with us
	sweep    <-chan time.Time // the grace of a retired generation
	told     told
}

// told remembers what is worth a line once.
type told struct {
	files, env, pace, hold bool
	restart                []string // keys of the declaration that need one
	retry                  bool     // that an edit waits for the end of an outage
}

// publishAgain is the pause before another try to publish, after a full or
// read-only filesystem for example.
const publishAgain = 10 * time.Second

// run serves every event until the program ends for good.
func (l *loop) run() (Status, error) {
	defer l.abandon()
	for {
		select {
		case snapshot := <-l.updates:
			l.latest, l.waits = snapshot, true
			l.consider()
		case <-l.again:
			l.tryAgain()
		case <-l.edits:
			l.editSeen()
		case <-l.reload.again:
			l.edited()
		case r := <-l.reload.done:
			l.reloadEnded(r)
		case r := <-l.verifying.done():
			l.verified(r)
		case <-l.holds:
			l.holdChanged()
		case <-l.settling.settle:
			l.settledLongEnough()
		case <-l.settling.next:
			l.check()
		case err := <-l.settling.checked:
			l.checkEnded(err)
		case <-l.settling.late:
			l.tooLate()
		case s := <-l.Signals:
			l.take(s)
		case s := <-l.child.Stopped():
			l.follow(s)
		case <-l.sharing.look:
			l.lookForeground()
		case <-l.childDone():
			l.childEnded()
		case <-l.stop.planned:
			l.beginStop()
		case r := <-l.stop.hookDone():
			l.hookEnded(r)
		case <-l.stop.kill:
			l.killChild()
		case <-l.stop.look:
			l.clear()
		case m, open := <-l.service.relay.Messages():
			if open {
				l.hear(m)
			} else {
				l.hearRest()
			}
		case <-l.service.due():
			l.watchdogDue()
		case <-l.service.look:
			l.lookReady()
		case err := <-l.service.looked:
			l.lookedReady(err)
		case <-l.Expired:
			l.expire()
		case <-l.sweep:
			l.sweepDir()
		case pong := <-l.pings:
			close(pong)
		}
		if l.stop.phase != ended {
			continue
		}
		if l.stop.aim != stopToRestart || l.leaving {
			return l.verdict(l.child.Status()), nil
		}
		if err := l.restart(); err != nil {
			return Status{}, err
		}
	}
}

// start starts the program with the newest generation.
func (l *loop) start(why string) error {
	if err := l.memory.set(l.generation.FDs()); err != nil {
		return err
	}
	if err := l.memory.clearOf(len(l.service.sockets)); err != nil {
		return err
	}
	environ := append(l.openRelay(l.service.over(l.environOf(l.generation))), l.memory.environ()...)
	child, err := l.program.start(l.Processes, environ, l.service.descriptors(), l.memory.all()...)
	if err != nil {
		return err
	}
	l.child, l.stop, l.given, l.paused, l.asked, l.rollback = child, stopping{}, l.generation, false, false, false
	l.beginSharing()
	l.starts++
	l.view.child.Store(&metrics.Child{PID: child.PID(), Started: time.Now(), Starts: l.starts, State: "running"})
	l.Metrics.ChildStarted(why)
	l.Metrics.EnvStale(false)
	l.Log.Info("program started", "command", l.Argv[0], "pid", child.PID(), "reason", why)
	l.serviceStarts()
	if why == startedByChange {
		l.beginSettling()
	} else {
		l.prove()
	}
	kept := l.kept
	l.kept = nil
	for _, s := range kept {
		l.forward(s)
	}
	l.consider()
	return nil
}

// Why the program was started.
const (
	startedFirst      = "start"
	startedByChange   = "change"
	startedByRollback = "rollback"
)

// environOf is the program's whole environment; never nil.
func (l *loop) environOf(g render.Generation) []string {
	return append([]string{}, g.Environ(l.program.who.over(l.Environ))...)
}

// environ is that of our commands beside the program: without what systemd gives the
// program alone.
func (l *loop) environ(g render.Generation) []string {
	return without(l.environOf(g), protocol...)
}

// renderNext renders a snapshot under a declaration, for the program that runs.
func (l *loop) renderNext(c config.Config, dir *render.Dir, snapshot secret.Snapshot) (render.Generation, error) {
	path := ""
	if dir != nil {
		path = dir.Path()
	}
	next, err := render.Render(c, path, snapshot)
	if err == nil {
		err = fits(l.Argv, environAtMost(next, l.program.who.over(l.Environ)))
	}
	return next, err
}

// turn makes a published generation the present one, and tells the program.
func (l *loop) turn(snapshot secret.Snapshot, next render.Generation) {
	change := next.Since(l.generation)
	changed := snapshot.Changed(l.snapshot)
	l.logVersions(snapshot)
	l.snapshot, l.generation = snapshot, next
	l.served()
	l.service.newGeneration()
	l.Published(snapshot)
	l.Metrics.EnvStale(len(next.Since(l.given).Env) > 0)
	if change.None() {
		l.Metrics.Generation("unchanged")
		l.proveUnlessTested()
		return
	}
	l.Metrics.Generation("published")
	l.tell(change, changed)
}

func (l *loop) sweepDir() {
	l.sweep = nil
	if until := l.dir.Sweep(time.Now()); !until.IsZero() {
		l.sweep = time.After(time.Until(until))
	}
}

func (l *loop) logVersions(snapshot secret.Snapshot) {
	for _, id := range snapshot.Changed(l.snapshot) {
		before, had := l.snapshot.Get(id)
		if !had {
			continue // a reload brought it
		}
		now, _ := snapshot.Get(id)
		l.Log.Info("secret changed", "secret", id.String(), "version", now.Version, "before", before.Version)
	}
}

// served notes in the metrics which versions the program has been given.
func (l *loop) served() {
	for _, id := range l.snapshot.IDs() {
		value, _ := l.snapshot.Get(id)
		l.Metrics.SecretServed(id.Label(), id.Stage, value.Version)
	}
}
