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
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
	"github.com/kmsrun/kmsrun/watch"
)

// The exit statuses of kmsrun's own failures.
const (
	StatusTemporary = 124 // an outage that outlasted kms.start_timeout, or watch.max_stale with on_stale: exit
	StatusFailed    = 125 // a failure that needs a person
)

// Plan is all that a run needs.
type Plan struct {
	Config  config.Config
	Argv    []string
	Environ []string // of the program, less what the declaration adds
	Once    bool     // become the program: no watching, no second process

	Interactive bool // stdin is a terminal

	Fetch      watch.Fetch           // while watching
	FetchFirst watch.PatientFetch    // before the start
	WaitsFor   func() error          // what FetchFirst met last, for a start that takes long
	Published  func(secret.Snapshot) // told of each snapshot whose generation was published; it must not block
	Expired    <-chan struct{}       // closed when the secrets are too old to go on with; nil for never
	Stale      func() bool           // whether a secret is so old that the program counts as not ready; nil for never
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
	started atomic.Bool
	watcher *watch.Watcher // nil where nothing is to be watched
}

// NewExec prepares a run; nothing starts yet.
func NewExec(p Plan) *Exec {
	e := &Exec{Plan: p, pings: make(chan chan struct{})}
	if e.BeforeExec == nil {
		e.BeforeExec = func() {}
	}
	if e.Published == nil {
		e.Published = func(secret.Snapshot) {}
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
		Stale:   e.Stale,
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
				e.watcher.Refresh()
			}
			return e.watcher != nil
		},
	}
}

// Run fetches, renders, publishes and starts the program, and returns how it
// ended. An error means that kmsrun itself failed: everything that can't be read
// or rendered in one *multierror.Error, or a *StartError.
func (e *Exec) Run() (Status, error) {
	var dir *render.Dir
	path := ""
	if len(e.Config.Files.Items) > 0 {
		var err error
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
	e.Published(snapshot)
	if e.Once {
		return e.become(dir, generation, f.kept)
	}
	defer remove(dir)
	return e.watchOver(dir, snapshot, generation, f.kept)
}

// become turns this process into the program. Its files stay, and stay locked. It
// returns only if a signal asked to end before that, or with an error.
func (e *Exec) become(dir *render.Dir, generation render.Generation, kept []os.Signal) (Status, error) {
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
		if ends(s) {
			remove(dir)
			return interrupted(s), nil
		}
		if number, ok := s.(syscall.Signal); ok && forwarded(s) {
			_ = syscall.Kill(os.Getpid(), number)
		}
	}
	err := become(e.Argv, generation.Environ(e.Environ))
	remove(dir)
	return Status{}, err
}

// watchOver starts the program and stays with it to its end.
func (e *Exec) watchOver(dir *render.Dir, snapshot secret.Snapshot, generation render.Generation, kept []os.Signal) (Status, error) {
	l := &loop{Exec: e, dir: dir, snapshot: snapshot, generation: generation}
	if err := l.start("start"); err != nil {
		return Status{}, err
	}
	for _, s := range kept {
		l.forward(s)
	}
	e.started.Store(true)
	l.served()

	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	if e.watcher != nil {
		updates := make(chan secret.Snapshot)
		l.updates = updates
		watching.Go(func() { e.watcher.Run(ctx, snapshot, updates) })
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
