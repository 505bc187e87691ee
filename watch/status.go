package watch

import (
	"time"

	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// staleAfter is how many intervals without a good read make a failing secret stale.
const staleAfter = 3

// Status tells of every secret that is watched. It may be called from anywhere, at
// any time; before Run it tells of none.
func (w *Watcher) Status() []metrics.Secret {
	if s := w.status.Load(); s != nil {
		return *s
	}
	return nil
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

// report publishes what Status tells.
func (r *run) report() {
	now := time.Now()
	list := make([]metrics.Secret, len(r.ids))
	for i, id := range r.ids {
		value, _ := r.latest.Get(id)
		poll, turn := r.polls[i], r.poller.state.turns[i]
		s := describe(id, value, metrics.SecretOK)
		s.LastPoll, s.LastGood, s.NextPoll = moment(poll.last), moment(poll.good), moment(turn.due)
		if turn.underWay {
			s.NextPoll = moment(now)
		}
		if poll.failed != "" {
			s.State, s.Error, s.Failures = metrics.SecretFailing, poll.failed, turn.failures
			if now.Sub(poll.good) > staleAfter*r.settings.Interval {
				s.State = metrics.SecretStale
			}
		}
		list[i] = s
	}
	r.status.Store(&list)
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
