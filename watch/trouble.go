package watch

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// trouble remembers which secrets can't be read, so that each change of state is
// logged once: what has one cause as one, however many secrets it hits, and the
// refusal of a secret for that secret.
type trouble struct {
	log     *slog.Logger
	metrics *metrics.Metrics
	shared  map[string]*shared   // by cause
	refused map[secret.ID]string // each for itself, with the reason
}

// shared is trouble that may hit any secret: a place that is out of reach, such as KMS
// or the STS of one login, or a login that is refused.
type shared struct {
	outage string // the place, of an outage
	since  time.Time
	hit    map[secret.ID]bool // and not read since
}

func newTrouble(log *slog.Logger, m *metrics.Metrics) *trouble {
	return &trouble{log: log, metrics: m, shared: map[string]*shared{}, refused: map[secret.ID]string{}}
}

// placeOf is what an outage is of, as far as the failure tells. It is the same however
// the outage shows.
func placeOf(err error) string {
	if f, ok := errors.AsType[interface {
		error
		Place() string
	}](err); ok {
		return f.Place()
	}
	return "KMS"
}

// causeOf is the same for refusals of one cause that would hit any secret; empty for a
// refusal of the one secret.
func causeOf(err error) string {
	if f, ok := errors.AsType[interface {
		error
		Cause() string
	}](err); ok {
		return f.Cause()
	}
	return ""
}

func (t *trouble) failed(id secret.ID, err error) {
	if Outage(err) {
		place := placeOf(err)
		if t.hit("outage of "+place, place, id) {
			t.metrics.Outage(true)
			t.log.Warn("KMS can't be read; keeping the present secrets and trying on", "place", place, "err", err)
		}
		return
	}
	for _, s := range t.shared {
		if s.outage != "" { // somebody has answered for this one
			delete(s.hit, id)
		}
	}
	if cause := causeOf(err); cause != "" {
		if t.hit(cause, "", id) {
			t.log.Warn("secrets can't be read; keeping their present values and trying on", "reason", reason(err), "err", err)
		}
		return
	}
	if why := reason(err); t.refused[id] != why {
		t.refused[id] = why
		t.log.Warn("a secret can't be read; keeping its present value and trying on", "secret", id.String(), "err", err)
	}
}

// hit notes what has hit id, and tells whether that is news. A secret that one trouble
// after another has hit was read in none of them: it counts for all until then.
func (t *trouble) hit(cause, outage string, id secret.ID) (news bool) {
	s, known := t.shared[cause]
	if !known {
		s = &shared{outage: outage, since: time.Now(), hit: map[secret.ID]bool{}}
		t.shared[cause] = s
	}
	s.hit[id] = true
	return !known
}

func (t *trouble) read(id secret.ID) {
	for _, s := range t.shared {
		delete(s.hit, id)
	}
	if _, was := t.refused[id]; was {
		delete(t.refused, id)
		t.log.Info("the secret can be read again", "secret", id.String())
	}
}

// roundEnded ends what has hit no secret any more: every one was read since, or its
// outage is over and it was refused. Not at the first good answer, or a half-broken
// service would fill the log.
func (t *trouble) roundEnded() {
	out := false
	for _, cause := range slices.Sorted(maps.Keys(t.shared)) {
		s := t.shared[cause]
		out = out || s.outage != "" && len(s.hit) > 0
		if len(s.hit) > 0 {
			continue
		}
		delete(t.shared, cause)
		after := time.Since(s.since).Round(time.Millisecond)
		if s.outage != "" {
			t.log.Info("KMS can be read again", "place", s.outage, "after", after)
		} else {
			t.log.Info("these secrets can be read again", "after", after)
		}
	}
	t.metrics.Outage(out)
}
