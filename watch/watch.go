package watch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// Watcher polls secrets and delivers a snapshot when one of them has changed.
type Watcher struct {
	settings    config.Watch
	concurrency int
	ids         []secret.ID
	fetch       Fetch
	refresh     chan struct{} // of one: pokes before the next round are one poke
	trouble     *trouble
	metrics     *metrics.Metrics
}

// New makes a watcher of ids that are not pinned; there must be one at least.
func New(settings config.Watch, concurrency int, ids []secret.ID, fetch Fetch, log *slog.Logger, m *metrics.Metrics) *Watcher {
	return &Watcher{
		settings: settings, concurrency: concurrency, ids: ids, fetch: fetch,
		refresh: make(chan struct{}, 1),
		trouble: newTrouble(log, m),
		metrics: m,
	}
}

// Refresh asks for a read of everything now. It never blocks.
func (w *Watcher) Refresh() {
	select {
	case w.refresh <- struct{}{}:
	default:
	}
}

// Run polls until ctx ends. A receiver of updates gets whole snapshots, always the
// newest: one that was not received in time is replaced, and a change that is
// undone before it was received is no news. A secret that can't be read keeps its
// value. have is what the receiver has already.
func (w *Watcher) Run(ctx context.Context, have secret.Snapshot, updates chan<- secret.Snapshot) {
	latest := have
	due := first(time.Now(), w.ids, w.settings, rand.Float64)
	var calm debounce
	_, wait := next(time.Now(), due)
	timer := time.NewTimer(wait)
	for {
		var out chan<- secret.Snapshot // nil, and so never ready, unless latest is news
		switch {
		case calm.waiting():
		case len(latest.Changed(have)) > 0:
			out = updates
		default:
			calm = debounce{} // delivered or undone: the next change has all of debounce_max
		}
		select {
		case <-ctx.Done():
			return
		case out <- latest:
			have = latest
		case <-calm.over:
			calm.over = nil
		case <-w.refresh:
			latest = w.poll(ctx, w.ids, latest, due)
			calm.over = nil // every secret was read in this round: no companion is missing
		case <-timer.C:
			ids, _ := next(time.Now(), due)
			polled := w.poll(ctx, ids, latest, due)
			if len(polled.Changed(latest)) > 0 {
				polled = w.poll(ctx, w.others(ids), polled, due)
				calm = calm.extend(time.Now(), w.settings)
			}
			latest = polled
		}
		_, wait = next(time.Now(), due)
		timer.Reset(wait)
	}
}

func (w *Watcher) others(ids []secret.ID) []secret.ID {
	return slices.DeleteFunc(slices.Clone(w.ids), func(id secret.ID) bool { return slices.Contains(ids, id) })
}

// poll reads ids once, sets when each is due again, and returns snapshot with what
// was read.
func (w *Watcher) poll(ctx context.Context, ids []secret.ID, snapshot secret.Snapshot, due schedule) secret.Snapshot {
	values, errs := fetchAll(ctx, ids, w.concurrency, w.fetch)
	if ctx.Err() != nil {
		return snapshot // on the way out: these failures are our own
	}
	now := time.Now()
	for i, id := range ids {
		due[id] = now.Add(after(w.settings, rand.Float64))
		if before, _ := snapshot.Get(id); before.Absent && Absent(errs[i]) {
			w.trouble.read(id) // not there yet, and nobody must have it
			continue
		}
		if errs[i] != nil {
			w.trouble.failed(id, errs[i])
			continue
		}
		w.trouble.read(id)
		w.metrics.SecretRead(id.SecretName(), id.Stage, now)
		snapshot = snapshot.With(id, values[i])
	}
	w.trouble.roundEnded()
	return snapshot
}

// debounce is the wait for companions of a change. The zero value waits for nothing.
type debounce struct {
	over  <-chan time.Time
	limit time.Time // debounce_max after the first change that is not delivered
}

func (d debounce) waiting() bool { return d.over != nil }

// extend starts the wait, or starts it again within its limit.
func (d debounce) extend(now time.Time, settings config.Watch) debounce {
	if d.limit.IsZero() {
		d.limit = now.Add(settings.DebounceMax)
	}
	d.over = time.After(min(settings.Debounce, d.limit.Sub(now)))
	return d
}
