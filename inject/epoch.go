package inject

import (
	"context"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
	"github.com/kmsrun/kmsrun/watch"
)

// epoch is what a reloaded declaration replaces: what is watched, and for what. The
// program, its directory and the metrics pass from epoch to epoch.
type epoch struct {
	end     context.CancelFunc
	updates <-chan secret.Snapshot // nil where no secret is watched
	edits   <-chan struct{}        // nil where no file is watched
}

// beginEpoch watches what the present declaration names, secrets and files.
func (l *loop) beginEpoch() {
	ctx, cancel := context.WithCancel(l.ctx)
	l.epoch = epoch{end: cancel}
	if watcher := l.watcher.Load(); watcher != nil {
		updates := make(chan secret.Snapshot)
		l.updates = updates
		have := l.snapshot
		l.watching.Go(func() { watcher.Run(ctx, have, updates) })
	}
	if l.Reload == nil {
		return
	}
	inputs := l.Inputs(l.Config)
	if len(inputs) == 0 {
		return
	}
	files, err := watch.NewFiles(inputs)
	if err != nil {
		l.Log.Warn("files can't be watched; edits take effect at a restart", "files", inputs, "err", err)
		return
	}
	for _, input := range inputs {
		if doubt := render.SubPath(input, l.Lookup); doubt != "" {
			l.Log.Warn("edits of a file will not be seen", "why", doubt)
		}
	}
	edits := make(chan struct{}, 1)
	l.edits = edits
	l.watching.Go(func() { files.Run(ctx, l.Log, edits) })
}

// lookOnce finds an edit between the reading of the declaration and the watch of its
// files.
func (l *loop) lookOnce() {
	if l.edits != nil {
		l.reload.silent = true
		l.edited()
	}
}

// newWatcher makes the watcher of a declaration, or nil where nothing is to be
// watched.
func (e *Exec) newWatcher(c config.Config) *watch.Watcher {
	var ids []secret.ID
	for _, id := range c.IDs() {
		if !id.Pinned() {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || e.Once {
		return nil
	}
	return watch.New(c.Watch, c.KMS.Concurrency, ids, e.Fetch, e.Log, e.Metrics)
}
