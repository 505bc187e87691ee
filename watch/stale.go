package watch

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// Reads remembers when each secret was last read, wherever that was done: it stands
// around the fetches. From that alone follows which secrets are stale. It is used from
// many goroutines.
type Reads struct {
	settings config.Watch
	log      *slog.Logger
	metrics  *metrics.Metrics

	mu    sync.Mutex
	ids   []secret.ID             // what the program has, less pinned versions: they never get old
	last  map[secret.ID]time.Time // of all that was ever read
	stale map[secret.ID]bool
	since time.Time // of the first of stale; zero without any
}

// NewReads remembers nothing yet.
func NewReads(settings config.Watch, log *slog.Logger, m *metrics.Metrics) *Reads {
	return &Reads{settings: settings, log: log, metrics: m, last: map[secret.ID]time.Time{}, stale: map[secret.ID]bool{}}
}

// Note notes that KMS gave the value of id at a time.
func (r *Reads) Note(id secret.ID, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[id] = at
	r.metrics.SecretRead(id.Label(), id.Stage, at)
}

// Published notes what the program has now: of these secrets the age counts.
func (r *Reads) Published(snapshot secret.Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.ids
	r.ids = slices.DeleteFunc(snapshot.IDs(), secret.ID.Pinned)
	for _, id := range before {
		if !slices.Contains(r.ids, id) { // not declared any more
			r.metrics.Stale(id.Label(), id.Stage, false)
		}
	}
}

// Last is when id was last read; zero for never.
func (r *Reads) Last(id secret.ID) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[id]
}

// First is next, with what it reads noted.
func (r *Reads) First(next PatientFetch) PatientFetch {
	return func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		value, err := next(ctx, patience, id)
		r.note(ctx, id, err)
		return value, err
	}
}

// Poll is next, with what it reads noted.
func (r *Reads) Poll(next Fetch) Fetch {
	return func(ctx context.Context, id secret.ID) (secret.Value, error) {
		value, err := next(ctx, id)
		r.note(ctx, id, err)
		return value, err
	}
}

func (r *Reads) note(ctx context.Context, id secret.ID, err error) {
	switch {
	case err == nil:
		r.Note(id, time.Now())
	case ctx.Err() == nil: // else the failure is our own
		r.metrics.SecretFailed(id.Label(), id.Stage, reason(err))
	}
}

// Stale tells whether a secret is stale.
func (r *Reads) Stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.stale) > 0
}

// Run follows who becomes stale, and who is no longer, until ctx ends: the gauge at
// once, and a line when the first does and when the last is read again. With on_stale:
// exit it closes expired at the first, and ends.
func (r *Reads) Run(ctx context.Context, expired chan<- struct{}) {
	limit := r.settings.StaleAfter()
	look := time.NewTicker(min(max(limit/10, 10*time.Millisecond), time.Second))
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if r.look(time.Now(), limit) && r.settings.MaxStale > 0 && r.settings.OnStale == "exit" {
				close(expired)
				return
			}
		}
	}
}

// look brings the state up to now, and tells whether anything is stale.
func (r *Reads) look(now time.Time, limit time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := stale(now, r.ids, r.last, limit)
	before := r.stale
	r.stale = map[secret.ID]bool{}
	for _, id := range ids {
		r.stale[id] = true
	}
	for _, id := range r.ids {
		r.metrics.Stale(id.Label(), id.Stage, r.stale[id])
	}
	switch {
	case len(ids) > 0 && len(before) == 0:
		r.since = now
		level, then := slog.LevelInfo, "keep serving them" // the failures themselves have been warned about
		if r.settings.MaxStale > 0 {
			level, then = slog.LevelWarn, r.settings.OnStale
		}
		r.log.Log(context.Background(), level, "secrets are stale: they have not been read for too long", "secrets", few(ids), "limit", limit, "then", then)
	case len(ids) == 0 && len(before) > 0:
		r.log.Info("no secret is stale any more", "after", now.Sub(r.since).Round(time.Millisecond))
		r.since = time.Time{}
	}
	return len(ids) > 0
}

// stale lists those of ids that were last read longer ago than limit.
func stale(now time.Time, ids []secret.ID, last map[secret.ID]time.Time, limit time.Duration) []secret.ID {
	var old []secret.ID
	for _, id := range ids {
		if now.Sub(last[id]) > limit {
			old = append(old, id)
		}
	}
	return old
}

// mostNamed bounds how many secrets one line names.
const mostNamed = 6

func few(ids []secret.ID) []string {
	var names []string
	for _, id := range ids[:min(len(ids), mostNamed)] {
		names = append(names, id.String())
	}
	if more := len(ids) - mostNamed; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return names
}
