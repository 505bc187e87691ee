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

	waiting *reloaded // what can't be gone over to now
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
	l.reload.again, l.reload.waiting = nil, nil
	if l.reload.done != nil || l.verifying != nil && l.verifying.edited {
		l.reload.dirty = true
		return
	}
	l.reload.dirty = false
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

// reloadEnded takes in a declaration that was read again, or says why not.
func (l *loop) reloadEnded(r reloaded) {
	l.reload.done = nil
	if r.err == nil && len(r.restart) > 0 && !slices.Equal(r.restart, l.told.restart) {
		l.Log.Warn("the declaration was edited in keys that need a restart; their present values stay", "keys", r.restart)
	}
	if r.err == nil {
		l.told.restart = r.restart
	}
	switch {
	case l.reload.dirty:
		l.edited() // there is a newer one
	case r.err != nil:
		l.refused(candidate{}, r.err)
	case r.config.Same(l.Config):
		if !l.reload.silent {
			l.Metrics.Reload("unchanged")
		}
		l.reload = reloading{}
	case l.busy():
		l.reload.waiting = &r
	default:
		l.considerEdit(r)
	}
}

// considerEdit makes the next generation of another declaration, by the ordinary road.
// Until it is published, everything stays as it is.
func (l *loop) considerEdit(r reloaded) {
	if !l.stop.begun() && l.child.Ended() {
		return // a change must not turn its end into a restart
	}
	c := candidate{config: r.config, dir: l.dir, edited: true}
	if c.dir == nil && r.config.NeedsDir() {
		dir, err := render.OpenDir(r.config.Files, l.Lookup)
		if err != nil {
			l.refused(c, err)
			return
		}
		c.dir = dir
	}
	c.snapshot = l.admitted(r.snapshot)
	next, err := l.renderNext(r.config, c.dir, c.snapshot)
	if err != nil {
		l.refused(c, err)
		return
	}
	c.next, c.change = next, next.Since(l.generation)
	if len(r.config.Verify.Exec) > 0 && !c.change.None() {
		l.verify(c)
		return
	}
	l.takeOver(c)
}

// refused says why an edit is not taken up. What time may mend is tried again, in
// silence until something else comes of it.
func (l *loop) refused(c candidate, err error) {
	dirty := l.reload.dirty
	l.reload = reloading{}
	if c.dir != nil && c.dir != l.dir {
		remove(c.dir)
	}
	if dirty {
		defer l.edited()
	}
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

// goOver makes the published generation of an edited declaration the present one, and
// begins its epoch. What an edit brings is not undone by itself: who made it is there.
func (l *loop) goOver(c candidate) {
	dirty := l.reload.dirty
	l.reload = reloading{}
	l.dir, l.again, l.waits = c.dir, nil, false
	l.end()
	l.forget(c.snapshot)
	l.Config = c.config
	if l.dir != nil {
		l.dir.SetGrace(l.Config.Files.Grace)
		l.sweepDir()
	}
	for _, w := range l.Config.Warnings {
		l.Log.Warn("doubtful declaration", "where", w.Error())
	}
	l.Log.Info("declaration reloaded", "variables", len(l.Config.Env), "env_from", len(l.Config.EnvFrom), "files", len(l.Config.Files.Items))
	l.settling, l.proven = l.settling.end(), proven{c.snapshot, c.next}
	l.turn(c.snapshot, c.next)
	watcher := l.newWatcher(l.Config)
	if watcher != nil {
		watcher.Poke() // what the watcher before it had found, and not delivered
	}
	l.watcher.Store(watcher)
	l.Metrics.Outage(false) // the next poll tells
	l.beginEpoch()
	l.Metrics.Reload("applied")
	if dirty {
		l.edited()
	} else {
		l.lookOnce() // which finds no difference in the end
	}
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
