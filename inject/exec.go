// Package inject runs the program: it fetches and renders before the start, starts
// the program or becomes it, forwards signals, and renders and tells it again when
// secrets change. The loop owns all of its state; channels carry whole values.
package inject

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
	"github.com/kmsrun/kmsrun/watch"
)

// The exit statuses of kmsrun's own failures.
const (
	StatusTemporary = 124 // an outage that outlasted kms.start_timeout
	StatusFailed    = 125 // a failure that needs a person
)

// Plan is all that a run needs.
type Plan struct {
	Config  config.Config
	Argv    []string
	Environ []string // of the program, less what the declaration adds
	Once    bool     // become the program: no watching, no second process

	Processes   *proc.Table
	Interactive bool // stdin is a terminal

	Fetch      watch.Fetch        // while watching
	FetchFirst watch.PatientFetch // before the start
	WaitsFor   func() error       // what FetchFirst met last, for a start that takes long
	Signals    <-chan os.Signal
	Lookup     func(string) (string, bool) // of our own environment
	BeforeExec func()                      // called before this process becomes the program
	Metrics    *metrics.Metrics
	Log        *slog.Logger
}

// Exec is one run of a program.
type Exec struct {
	Plan
	pings   chan chan struct{} // answered by whatever select turns
	hold    atomic.Bool        // nothing is to be flipped or restarted
	holds   chan struct{}      // of one: hold has changed
	started atomic.Bool
	watcher *watch.Watcher // nil where nothing is to be watched
	view    view
}

// NewExec prepares a run; nothing starts yet.
func NewExec(p Plan) *Exec {
	e := &Exec{Plan: p, pings: make(chan chan struct{}), holds: make(chan struct{}, 1)}
	if e.BeforeExec == nil {
		e.BeforeExec = func() {}
	}
	var ids []secret.ID
	for _, id := range p.Config.IDs() {
		if !id.Pinned() {
			ids = append(ids, id)
		}
	}
	if len(ids) > 0 && !p.Once {
		e.watcher = watch.New(p.Config.Watch, p.Config.KMS.Concurrency, ids, p.Fetch, p.Log, p.Metrics)
	}
	return e
}

// State is what the HTTP endpoint may ask of the run.
func (e *Exec) State() metrics.State {
	return metrics.State{
		Started: e.started.Load,
		Alive: func(ctx context.Context) error {
			pong := make(chan struct{})
			select {
			case e.pings <- pong:
				<-pong
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		Refresh: func() bool {
			if e.watcher != nil {
				e.watcher.Poke()
			}
			return e.watcher != nil
		},
		Hold:   e.setHold,
		Status: e.status,
	}
}

// Run fetches, renders, publishes and starts the program, and returns how it
// ended. An error means that kmsrun itself failed: everything that can't be read
// or rendered in one *multierror.Error, or a *StartError.
func (e *Exec) Run() (Status, error) {
	program, err := newProgram(e.Argv, e.Config.Child)
	if err != nil {
		return Status{}, err
	}
	var dir *render.Dir
	path := ""
	if len(e.Config.Files.Items) > 0 {
		if dir, err = render.OpenDir(e.Config.Files, e.Lookup); err != nil {
			return Status{}, err
		}
		path = dir.Path()
	}
	f := first{exec: e}
	snapshot, generation, status, err := f.get(path)
	if err == nil && status.Signal == 0 {
		err = publish(dir, generation, time.Now())
	}
	if err != nil || status.Signal != 0 {
		remove(dir)
		return status, err
	}
	if e.Once {
		return e.become(program, dir, generation, f.kept)
	}
	defer remove(dir)
	return e.watchOver(program, dir, snapshot, generation, f.kept)
}

// become turns this process into the program. Its files stay, and stay locked. It
// returns only if a signal asked to end before that, or with an error.
func (e *Exec) become(program program, dir *render.Dir, generation render.Generation, kept []os.Signal) (Status, error) {
	if dir != nil {
		dir.SweepAll()
		if err := dir.KeepLock(); err != nil {
			remove(dir)
			return Status{}, fmt.Errorf("keeping the lock of %q: %w", dir.Path(), err)
		}
	}
	e.BeforeExec()
	signal.Reset() // from here on a signal does to us what it would do to the program
	for len(e.Signals) > 0 {
		kept = append(kept, <-e.Signals)
	}
	for _, s := range kept {
		if ends(s, program.signals) {
			remove(dir)
			return interrupted(s), nil
		}
		if number, ok := s.(syscall.Signal); ok && forwarded(s) {
			_ = syscall.Kill(os.Getpid(), number)
		}
	}
	err := program.become(e.Processes, append([]string{}, generation.Environ(program.who.over(e.Environ))...))
	remove(dir)
	return Status{}, err
}

// watchOver starts the program and stays with it to its end.
func (e *Exec) watchOver(program program, dir *render.Dir, snapshot secret.Snapshot, generation render.Generation, kept []os.Signal) (Status, error) {
	program.terminal = proc.OpenTerminal()
	ctx, cancel := context.WithCancel(context.Background())
	l := &loop{Exec: e, ctx: ctx, dir: dir, program: program, snapshot: snapshot, generation: generation}
	defer l.watching.Wait()
	defer cancel()
	for _, s := range kept {
		if number, ok := s.(syscall.Signal); ok {
			l.kept = append(l.kept, number)
		}
	}
	if proc.Lacks != "" {
		e.Log.Info("this platform can't do everything for the program", "lacks", proc.Lacks)
	}
	if err := l.start(startedFirst); err != nil {
		return Status{}, err
	}
	e.started.Store(true)
	if dir != nil {
		l.sweepDir() // what a predecessor had published
	}
	for _, id := range snapshot.IDs() {
		e.Metrics.SecretRead(id.Label(), id.Stage, time.Now())
	}
	l.served()
	pinned := watch.Pinned(snapshot)
	e.view.pinned.Store(&pinned)

	if e.watcher != nil {
		updates := make(chan secret.Snapshot)
		l.updates = updates
		l.watching.Go(func() { e.watcher.Run(ctx, snapshot, updates) })
	}
	return l.run()
}

func publish(dir *render.Dir, g render.Generation, now time.Time) error {
	if dir == nil {
		return nil
	}
	staged, err := dir.Stage(g.Files())
	if err != nil {
		return err
	}
	return staged.Commit(now)
}

func remove(dir *render.Dir) {
	if dir != nil {
		dir.Remove()
	}
}

// interrupted is the status of a run that a signal ended before the program began.
func interrupted(s os.Signal) Status {
	number, _ := s.(syscall.Signal)
	return Status{Signal: number}
}
