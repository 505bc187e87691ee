package watch

import (
	"context"
	"log/slog"
	"sync/atomic"

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
	pokes       chan struct{} // of one: pokes before the next turn of the loop are one poke
	trouble     *trouble
	metrics     *metrics.Metrics
	report      atomic.Pointer[report]
}

// New makes a watcher of ids that are not pinned; there must be one at least.
func New(settings config.Watch, concurrency int, ids []secret.ID, fetch Fetch, log *slog.Logger, m *metrics.Metrics) *Watcher {
	return &Watcher{
		settings: settings, concurrency: concurrency, ids: ids, fetch: fetch,
		pokes:   make(chan struct{}, 1),
		trouble: newTrouble(log, m),
		metrics: m,
	}
}

// Poke asks for a read of everything now. What that finds is delivered without a
// wait for companions: all were read. It never blocks; pokes that come before a
// read has begun are one, and one that comes during a read leads to another.
func (w *Watcher) Poke() {
	select {
	case w.pokes <- struct{}{}:
	default:
	}
}

// Run polls until ctx ends. A receiver of updates gets whole snapshots, always the
// newest: one that was not received in time is replaced, and a change that is
// undone before it was received is no news. A secret that can't be read keeps its
// value. have is what the receiver has already.
func (w *Watcher) Run(ctx context.Context, have secret.Snapshot, updates chan<- secret.Snapshot) {
	newRun(ctx, w, have).loop(updates)
}
