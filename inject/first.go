package inject

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/kmsrun/kmsrun/internal/asfound"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
	"github.com/kmsrun/kmsrun/watch"
)

// first is the fetch and rendering before the start: all or nothing.
type first struct {
	exec *Exec
	kept []os.Signal // that came meanwhile, for the program

	stale []string // files of a predecessor of a sidecar that had other content
}

// saysItWaits is how long a start may take before a line says what it waits for.
const saysItWaits = 3 * time.Second

type firstResult struct {
	snapshot   secret.Snapshot
	generation render.Generation
	err        error
}

// get waits for the first generation, within kms.start_timeout. A signal that asks
// to end does so at once; its Status is returned.
func (f *first) get(filesDir string) (secret.Snapshot, render.Generation, Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), f.exec.Config.KMS.StartTimeout)
	defer cancel()
	results := make(chan firstResult, 1)
	go func() { results <- f.fetch(ctx, filesDir) }()
	slow := time.After(saysItWaits)
	second := f.exec.service.everySecond()
	defer second.Stop()
	for {
		select {
		case <-slow:
			f.exec.Log.Warn("still waiting for KMS; nothing is published or started before every secret was read",
				"start_timeout", f.exec.Config.KMS.StartTimeout, "err", f.waitsFor())
		case r := <-results:
			return r.snapshot, r.generation, Status{}, r.err
		case <-second.C:
			f.exec.service.waitForKMS(f.waitsFor())
		case <-f.exec.service.due():
			f.exec.service.tell("WATCHDOG=1")
		case pong := <-f.exec.pings:
			close(pong)
		case s := <-f.exec.Signals:
			if end := f.signalled(s); end.Signal != 0 {
				return secret.Snapshot{}, render.Generation{}, end, nil
			}
		}
	}
}

// signalled keeps a signal for the program, and what came with it. One that asks to end
// is returned.
func (f *first) signalled(s os.Signal) (end Status) {
	for came := together(s, f.exec.Signals, false); len(came) > 0; came = came[1:] {
		s := came[0]
		more, stopped := stopsUsToo(s, f.exec.Signals)
		came = append(came, more...)
		switch {
		case ends(s, asfound.Here()):
			return interrupted(s)
		case forwarded(s) && s != syscall.SIGCONT && !stopped:
			f.kept = append(f.kept, s)
		}
	}
	return Status{}
}

// waitsFor is what went wrong so far.
func (f *first) waitsFor() any {
	if f.exec.WaitsFor != nil {
		if err := f.exec.WaitsFor(); err != nil {
			return err
		}
	}
	return "no answer yet"
}

// fetch reads and renders everything, and reports what can't be read together with
// what can't be rendered of the rest.
func (f *first) fetch(ctx context.Context, filesDir string) firstResult {
	c := f.exec.Config
	uses := c.Uses()
	fetch := func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		value, err := f.exec.FetchFirst(ctx, patience, id)
		if err != nil {
			err = &unread{uses[id], err}
		}
		return value, err
	}
	snapshot, err := watch.Resolve(ctx, c.IDs(), c.KMS.Concurrency, fetch)
	var failures *multierror.Error
	failures = multierror.Append(failures, byCause(Wrapped(err))...)
	generation, err := render.Render(c, filesDir, snapshot)
	if err == nil {
		err = fits(f.exec.Argv, environAtMost(generation, f.exec.Environ))
	}
	for _, failure := range Wrapped(err) {
		if !errors.Is(failure, render.ErrNotFetched) { // reported already
			failures = multierror.Append(failures, failure)
		}
	}
	return firstResult{snapshot, generation, failures.ErrorOrNil()}
}

// Wrapped lists the errors in a *multierror.Error, or err itself.
func Wrapped(err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := errors.AsType[*multierror.Error](err); ok {
		return all.WrappedErrors()
	}
	return []error{err}
}
