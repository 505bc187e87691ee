package inject

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
	"github.com/kmsrun/kmsrun/watch"
)

// reloadAgain is the pause before another try, after an outage for example: the edit
// is right, and nobody will make it again.
const reloadAgain = 10 * time.Second

// reloading is a reload under way.
type reloading struct {
	done   <-chan reloaded // nil when none is under way
	dirty  bool            // there was another edit meanwhile
	silent bool            // nobody said that there was an edit
	again  <-chan time.Time
}

// reloaded is a declaration that was read again, with its secrets.
type reloaded struct {
	config   config.Config
	restart  []string // keys that differ, and can't change before a restart
	snapshot secret.Snapshot
	err      error
}

// editSeen takes up an edit that the watch of the files saw.
func (l *loop) editSeen() {
	l.told.retry = false
	l.edited()
}

// edited reads the declaration again, and all that it names, beside the loop.
func (l *loop) edited() {
	l.reload.again = nil
	if l.reload.done != nil {
		l.reload.dirty = true
		return
	}
	done := make(chan reloaded, 1)
	l.reload.done = done
	have, now := l.snapshot, l.Config
	l.watching.Go(func() { done <- l.readAgain(l.ctx, now, have) })
}

// readAgain loads the declaration, and reads the secrets that it names: those that are
// new to us as at the start, the others once, keeping what we have where that fails.
func (e *Exec) readAgain(ctx context.Context, now config.Config, have secret.Snapshot) reloaded {
	next, err := e.Reload()
	if err != nil {
		return reloaded{err: err}
	}
	r := reloaded{}
	r.config, r.restart = now.Reloaded(next)
	if r.config.Same(now) {
		return r
	}
	if r.err = e.readable(r.config); r.err != nil {
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, now.KMS.StartTimeout)
	defer cancel()
	uses := r.config.Uses()
	r.snapshot, r.err = watch.Resolve(ctx, r.config.IDs(), now.KMS.Concurrency, func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		if value, known := have.Get(id); known {
			if fresh, err := e.Fetch(ctx, id); err == nil && !id.Pinned() {
				value = fresh
			}
			return value, nil
		}
		value, err := e.FetchFirst(ctx, patience, id)
		if err != nil {
			err = &unread{uses[id], err}
		}
		return value, err
	})
	return r
}

// readable tells what of a declaration's references can't be read before a restart.
func (e *Exec) readable(c config.Config) error {
	var faults *multierror.Error
	for _, id := range c.IDs() {
		if _, known := c.Auth[id.Auth]; id.Auth != "" && !known {
			faults = multierror.Append(faults, fmt.Errorf("%s: the auth profile %q is new: restart kmsrun to use it", id, id.Auth))
		}
	}
	if len(c.IDs()) > 0 && e.Fetch == nil {
		faults = multierror.Append(faults, errors.New("kmsrun was started with no reference, and so without a way to KMS: restart it"))
	}
	return faults.ErrorOrNil()
}

// reloadEnded goes over to a declaration that was read again, or says why not.
func (l *loop) reloadEnded(r reloaded) {
	dirty, silent := l.reload.dirty, l.reload.silent
	l.reload = reloading{}
	if r.err == nil && len(r.restart) > 0 && !slices.Equal(r.restart, l.told.restart) {
		l.Log.Warn("the declaration was edited in keys that need a restart; their present values stay", "keys", r.restart)
	}
	if r.err == nil {
		l.told.restart = r.restart
	}
	changed := r.err == nil && !r.config.Same(l.Config)
	if changed && (l.stop.begun() || !l.child.Ended()) {
		r.err = l.goOver(r)
	}
	switch {
	case r.err != nil:
		l.refused(r.err)
	case changed:
		l.Metrics.Reload("applied")
		if !silent {
			l.lookOnce() // again only after an edit that was seen: a lookOnce ends by itself
		}
	case !silent:
		l.Metrics.Reload("unchanged")
	}
	if dirty {
		l.edited()
	}
}

// refused says why an edit is not taken up. What time may mend is tried again, in
// silence until something else comes of it.
func (l *loop) refused(err error) {
	retry := true
	for _, failure := range Wrapped(err) {
		retry = retry && (watch.Outage(failure) || errors.Is(failure, errUnpublished))
	}
	if retry {
		l.reload.again = time.After(reloadAgain)
	}
	if retry && l.told.retry {
		return
	}
	l.told.retry = retry
	l.Metrics.Reload("refused")
	for _, failure := range Wrapped(err) {
		l.Log.Error("the edited declaration can't be used; keeping the present one", "err", failure)
	}
	if retry {
		l.Log.Info("the edited declaration is tried again", "every", reloadAgain)
	}
}

// errUnpublished is a failure to publish, which time may mend.
var errUnpublished = errors.New("the files can't be published")

// goOver makes the next generation of another declaration, by the ordinary road, and
// begins its epoch. Until the files are published, everything stays as it is.
func (l *loop) goOver(r reloaded) error {
	dir := l.dir
	if dir == nil && r.config.NeedsDir() {
		var err error
		if dir, err = render.OpenDir(r.config.Files, l.Lookup); err != nil {
			return err
		}
	}
	next, err := l.renderNext(r.config, dir, r.snapshot)
	if err == nil && len(next.Since(l.generation).Files) > 0 {
		if err = publish(dir, next, time.Now()); err != nil {
			err = fmt.Errorf("%w: %w", errUnpublished, err)
		}
	}
	if err != nil {
		if l.dir == nil {
			remove(dir)
		}
		return err
	}
	l.dir, l.again = dir, nil
	l.end()
	l.forget(r.snapshot)
	l.Config = r.config
	if dir != nil {
		dir.SetGrace(r.config.Files.Grace)
		l.sweepDir()
	}
	for _, w := range r.config.Warnings {
		l.Log.Warn("doubtful declaration", "where", w.Error())
	}
	l.Log.Info("declaration reloaded", "variables", len(r.config.Env), "files", len(r.config.Files.Items))
	l.turn(r.snapshot, next)
	watcher := l.newWatcher(l.Config)
	if watcher != nil {
		watcher.Poke() // what the watcher before it had found, and not delivered
	}
	l.watcher.Store(watcher)
	l.Metrics.Outage(false) // the next poll tells
	l.beginEpoch()
	return nil
}

// forget takes the secrets that are not read any more out of the metrics.
func (l *loop) forget(next secret.Snapshot) {
	ids := next.IDs()
	for _, id := range l.snapshot.IDs() {
		if !slices.Contains(ids, id) {
			l.Metrics.SecretGone(id.Label(), id.Stage)
		}
	}
}
