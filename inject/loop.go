package inject

import (
	"os"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
)

// loop is the program running, and everything that may happen to it. Its fields
// belong to the goroutine of run.
type loop struct {
	*Exec
	dir     *render.Dir // nil without files
	child   *child
	updates <-chan secret.Snapshot // nil where nothing is watched

	snapshot   secret.Snapshot   // what generation was rendered from
	generation render.Generation // the newest that is published

	stop    stop             // of ours, under way
	leaving bool             // somebody asked the program to end: no more restarts
	kill    <-chan time.Time // stop_timeout of a stop of ours
	sweep   <-chan time.Time // the grace of a retired generation
	again   <-chan time.Time // another try to publish unpublished
	job     jobControl
	told    told
	expired bool // we stop the program since its secrets are too old

	unpublished secret.Snapshot
	given       render.Generation // what the program was started with
}

// stop is why we stop the program.
type stop int

const (
	notStopping stop = iota
	stopToRestart
	stopToExit
)

func (s stop) String() string {
	return map[stop]string{notStopping: "nothing", stopToRestart: "restart", stopToExit: "exit"}[s]
}

// told remembers advice that is worth a line once.
type told struct{ files, env bool }

// publishAgain is the pause before another try to publish, after a full or
// read-only filesystem for example.
const publishAgain = 10 * time.Second

// run serves every event until the program ends for good.
func (l *loop) run() (Status, error) {
	for {
		select {
		case snapshot := <-l.updates:
			l.applyUnlessEnded(snapshot)
		case <-l.again:
			l.applyUnlessEnded(l.unpublished)
		case s := <-l.Signals:
			l.forward(s)
		case status := <-l.child.done:
			if l.stop != stopToRestart || l.leaving {
				return l.verdict(status), nil
			}
			if err := l.start("change"); err != nil {
				return Status{}, err
			}
		case <-l.Expired:
			l.expire()
		case <-l.kill:
			l.Log.Warn("the program did not stop in time; killing it", "pid", l.child.process.Pid, "stop_timeout", l.Config.Child.StopTimeout)
			l.signal(syscall.SIGKILL, "restart")
		case <-l.job.check:
			l.job = l.job.stopWith(l.child)
		case <-l.sweep:
			l.sweepDir()
		case pong := <-l.pings:
			close(pong)
		}
	}
}

// start starts the program with the newest generation.
func (l *loop) start(why string) error {
	child, err := start(l.Argv, l.generation.Environ(l.Environ))
	if err != nil {
		return err
	}
	l.child, l.stop, l.kill, l.given = child, notStopping, nil, l.generation
	l.Metrics.ChildStarted(why)
	l.Metrics.EnvStale(false)
	l.Log.Info("program started", "command", l.Argv[0], "pid", child.process.Pid, "reason", why)
	return nil
}

// forward passes a signal on. A planned restart does not outlive a request to end.
func (l *loop) forward(s os.Signal) {
	if !forwarded(s) {
		return
	}
	if l.asksToEnd(s) {
		l.leaving = true
		l.kill = nil // the deadline is now the orchestrator's
	}
	l.signal(s, "forwarded")
	if stops(s) {
		l.job = newJobControl()
	}
}

// asksToEnd tells whether a signal means that the program shall end, and not be
// started again. On a terminal ^C means it only if we are stopping the program
// anyway: many an interactive program lives on.
func (l *loop) asksToEnd(s os.Signal) bool {
	switch s {
	case syscall.SIGTERM, syscall.SIGQUIT, syscall.Signal(l.Config.Child.StopSignal):
		return true
	case syscall.SIGINT:
		return !l.Interactive || l.stop != notStopping
	default:
		return false
	}
}

func (l *loop) signal(s os.Signal, reason string) {
	if err := l.child.signal(s); err != nil {
		l.Log.Error("the program can't be signalled", "signal", signalName(s), "pid", l.child.process.Pid, "err", err)
		return
	}
	l.Metrics.ChildSignalled(reason)
	l.Log.Debug("signal sent to the program", "signal", signalName(s), "pid", l.child.process.Pid, "reason", reason)
}

// applyUnlessEnded leaves a program alone that has ended by itself just now: a change
// must not turn its end into a restart.
func (l *loop) applyUnlessEnded(snapshot secret.Snapshot) {
	if l.stop == notStopping && l.child.ended() {
		l.again = nil
		return
	}
	l.apply(snapshot)
}

// apply renders a new snapshot, publishes it if anything differs, and then tells
// the program. Until all of that has worked, everything stays as it is.
func (l *loop) apply(snapshot secret.Snapshot) {
	l.again = nil
	path := ""
	if l.dir != nil {
		path = l.dir.Path()
	}
	next, err := render.Render(l.Config, path, snapshot)
	if err == nil {
		err = fits(l.Argv, next.Environ(l.Environ))
	}
	if err != nil {
		l.Metrics.Generation("failed")
		for _, failure := range Wrapped(err) {
			l.Log.Error("the new secrets can't be rendered; keeping the present ones", "err", failure)
		}
		return
	}
	change := next.Since(l.generation)
	if len(change.Files) > 0 {
		if err := publish(l.dir, next, time.Now()); err != nil {
			l.Metrics.Generation("failed")
			l.Log.Error("the new files can't be published; keeping the present ones and trying again", "err", err, "in", publishAgain)
			l.unpublished, l.again = snapshot, time.After(publishAgain)
			return
		}
		l.sweepDir()
	}
	l.logVersions(snapshot)
	l.snapshot, l.generation = snapshot, next
	l.served()
	l.Published(snapshot)
	l.Metrics.EnvStale(len(next.Since(l.given).Env) > 0)
	if change.None() {
		l.Metrics.Generation("unchanged")
		return
	}
	l.Metrics.Generation("published")
	l.tell(change)
}

func (l *loop) sweepDir() {
	l.sweep = nil
	if until := l.dir.Sweep(time.Now()); !until.IsZero() {
		l.sweep = time.After(time.Until(until))
	}
}

func (l *loop) logVersions(snapshot secret.Snapshot) {
	for _, id := range snapshot.Changed(l.snapshot) {
		before, _ := l.snapshot.Get(id)
		now, _ := snapshot.Get(id)
		l.Log.Info("secret changed", "secret", id.String(), "version", now.Version, "before", before.Version)
	}
}

// served notes in the metrics which versions the program has been given.
func (l *loop) served() {
	for _, id := range l.snapshot.IDs() {
		value, _ := l.snapshot.Get(id)
		l.Metrics.SecretServed(id.SecretName(), id.Stage, value.Version)
	}
}
