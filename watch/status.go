package watch

import (
	"time"

	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// report is what the loop knows; nothing in it is ever changed.
type report struct {
	latest secret.Snapshot
	polls  []poll
	turns  []turn
}

// Status tells of every secret that is watched. It may be called from anywhere, at
// any time; before Run it tells of none.
func (w *Watcher) Status() []metrics.Secret {
	r := w.report.Load()
	if r == nil {
		return nil
	}
	list := make([]metrics.Secret, len(w.ids))
	for i, id := range w.ids {
		value, _ := r.latest.Get(id)
		list[i] = r.polls[i].describe(describe(id, value, metrics.SecretOK), r.turns[i], w.settings.StaleAfter())
	}
	return list
}

// describe adds to s how its reads went, and when the next is due.
func (p poll) describe(s metrics.Secret, t turn, limit time.Duration) metrics.Secret {
	s.LastPoll, s.LastGood, s.NextPoll = moment(p.last), moment(p.good), moment(t.due)
	if p.failed != "" {
		s.State, s.Error, s.Failures = metrics.SecretFailing, p.failed, t.failures
		if time.Since(p.good) > limit {
			s.State = metrics.SecretStale
		}
	}
	return s
}

// Pinned tells of the secrets of a snapshot that are never read again.
func Pinned(snapshot secret.Snapshot) []metrics.Secret {
	var list []metrics.Secret
	for _, id := range snapshot.IDs() {
		if value, ok := snapshot.Get(id); ok && id.Pinned() {
			list = append(list, describe(id, value, metrics.SecretPinned))
		}
	}
	return list
}

// publish lets Status tell what is known now.
func (r *run) publish() {
	r.report.Store(&report{r.latest, r.polls, r.poller.state.turns})
}

func describe(id secret.ID, value secret.Value, state string) metrics.Secret {
	return metrics.Secret{
		Secret: id.Label(), Stage: id.Stage, Version: value.Version, Stages: value.Stages, State: state,
		Created: moment(value.Created), NextRotation: moment(value.NextRotation),
	}
}

// moment is at, or nil for none.
func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC().Truncate(time.Millisecond)
	return &at
}
