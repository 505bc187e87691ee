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
	StatusTemporary = 124 // an outage that outlasted kms.start_timeout, or watch.max_stale with on_stale: exit
	StatusFailed    = 125 // a failure that needs a person
)

// Plan is all that a run needs.
type Plan struct {
	Config  config.Config
	Argv    []string // empty: a sidecar, which has no program
	Environ []string // of the program, less what the declaration adds
	Once    bool     // become the program: no watching, no second process

	Processes   *proc.Table
	Interactive bool // stdin is a terminal

	Fetch      watch.Fetch                   // while watching
	FetchFirst watch.PatientFetch            // before the start
	WaitsFor   func() error                  // what FetchFirst met last, for a start that takes long
	Reload     func() (config.Config, error) // the declaration as its files are now; nil: it never changes
	Inputs     func(config.Config) []string  // the files to watch for edits
	Published  func(secret.Snapshot)         // told of each snapshot whose generation was published; it must not block
	Expired    <-chan struct{}               // closed when the secrets are too old to go on with; nil for never
	Stale      func() bool                   // whether a secret is so old that the program counts as not ready; nil for never
	Sealed     func() *metrics.SealedStatus  // of the sealed file; nil without one
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
	watcher atomic.Pointer[watch.Watcher] // of the present declaration; nil where nothing is to be watched
	service service
	view    view
}

// NewExec prepares a run; nothing starts yet.
func NewExec(p Plan) *Exec {
	e := &Exec{Plan: p, pings: make(chan chan struct{}), holds: make(chan struct{}, 1)}
	if e.BeforeExec == nil {
		e.BeforeExec = func() {}
	}
	if e.Published == nil {
		e.Published = func(secret.Snapshot) {}
	}
	e.watcher.Store(e.newWatcher(p.Config))
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
		Refresh: e.poke,
		Hold:    e.setHold,
		Status:  e.status,
	}
}

// poke asks for a poll now; false when nothing is watched.
func (e *Exec) poke() bool {
	watcher := e.watcher.Load()
	if watcher != nil {
		watcher.Poke()
	}
	return watcher != nil
}

// Run fetches, renders, publishes and starts the program, and returns how it
// ended. An error means that kmsrun itself failed: everything that can't be read
// or rendered in one *multierror.Error, or a *StartError.
func (e *Exec) Run() (Status, error) {
	program, err := newProgram(e.Argv, e.Config.Child)
	if err != nil {
		return Status{}, err
	}
	defer e.endService()
	if err := e.beginService(); err != nil {
		return Status{}, err
	}
	status, err := e.fetchAndRun(program)
	if err != nil {
		e.service.tellStatus(Wrapped(err)[0].Error())
	}
	return status, err
}

func (e *Exec) fetchAndRun(program program) (Status, error) {
	var dir *render.Dir
	var err error
	path := ""
	if e.Config.NeedsDir() {
		if dir, err = render.OpenDir(e.Config.Files, e.Lookup); err != nil {
			return Status{}, err
		}
		path = dir.Path()
		if doubt := render.SubPath(path, e.Lookup); doubt != "" {
			e.Log.Warn("the directory for files will not show changes", "why", doubt)
		}
	}
	f := first{exec: e}
	snapshot, generation, status, err := f.get(path)
	if err == nil && status.Signal == 0 {
		f.look(dir, generation)
		err = publish(dir, generation, time.Now())
	}
	if err != nil || status.Signal != 0 {
		remove(dir)
		return status, err
	}
	e.Published(snapshot)
	if e.Once {
		return e.become(program, dir, generation, f.kept)
	}
	return e.watchOver(program, dir, snapshot, generation, f)
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
	e.service.leave(e.Config.Child.Notify)
	memory := memoryFiles{}
	err := memory.set(generation.FDs())
	if err == nil {
		err = memory.clearOf(len(e.service.sockets))
	}
	if err == nil {
		err = memory.passing(func() error {
			environ := append([]string{}, generation.Environ(program.who.over(e.Environ))...)
			return program.become(e.Processes, append(environ, memory.environ()...), e.service.descriptors())
		})
	}
	remove(dir)
	return Status{}, err
}

// watchOver starts the program and stays with it to its end. A sidecar has none, and ends
// when it is asked to.
func (e *Exec) watchOver(program program, dir *render.Dir, snapshot secret.Snapshot, generation render.Generation, f first) (Status, error) {
	if !e.sidecar() {
		program.terminal = proc.OpenTerminal()
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &loop{Exec: e, ctx: ctx, dir: dir, memory: memoryFiles{}, program: program, snapshot: snapshot, generation: generation}
	defer func() { e.finish(l.dir, l.mailboxes.left()) }()
	defer l.watching.Wait()
	defer cancel()
	for _, s := range f.kept {
		if number, ok := s.(syscall.Signal); ok {
			l.kept = append(l.kept, number)
		}
	}
	if proc.Lacks != "" {
		e.Log.Info("this platform can't do everything for the program", "lacks", proc.Lacks)
	}
	l.service.newGeneration()
	if e.sidecar() {
		l.attend(f.stale)
	} else if err := l.start(startedFirst); err != nil {
		return Status{}, err
	}
	e.started.Store(true)
	if dir != nil {
		l.sweepDir() // what a predecessor had published
	}
	l.served()
	pinned := watch.Pinned(snapshot)
	e.view.pinned.Store(&pinned)

	l.beginEpoch()
	l.lookOnce()
	status, err := l.run()
	l.serviceStops(status)
	return status, err
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

// finish removes the files at the end, or leaves them if the declaration says so.
func (e *Exec) finish(dir *render.Dir, untold bool) {
	keep := e.Config.Files.KeepOnExit == "true" || e.Config.Files.KeepOnExit == "auto" && e.sidecar()
	if dir == nil || !keep {
		remove(dir)
		return
	}
	switch {
	case !e.sidecar():
	case untold:
		e.leaveWord(dir)
	default:
		dir.ForgetUntold()
	}
	if err := dir.Keep(); err != nil {
		e.Log.Warn("the next kmsrun may remove the files that are left", "dir", dir.Path(), "err", err)
	}
}

// interrupted is the status of a run that a signal ended before the program began.
func interrupted(s os.Signal) Status {
	number, _ := s.(syscall.Signal)
	return Status{Signal: number}
}
