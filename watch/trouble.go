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
// logged once: an outage of one place as one, however many secrets it hits and however
// it shows, and a refusal per secret.
type trouble struct {
	log     *slog.Logger
	metrics *metrics.Metrics
	outages map[string]outage    // by place
	refused map[secret.ID]string // with the reason
}

// outage is one place that is out of reach, such as KMS, or STS for one login.
type outage struct {
	since time.Time
	out   map[secret.ID]bool // not read since it hit them
}

func newTrouble(log *slog.Logger, m *metrics.Metrics) *trouble {
	return &trouble{log: log, metrics: m, outages: map[string]outage{}, refused: map[secret.ID]string{}}
}

// placeOf is what an outage is of, as far as the failure tells.
func placeOf(err error) string {
	if f, ok := errors.AsType[interface {
		error
		Place() string
	}](err); ok {
		return f.Place()
	}
	return "KMS"
}

func (t *trouble) failed(id secret.ID, err error) {
	if Outage(err) {
		place := placeOf(err)
		if _, known := t.outages[place]; !known {
			t.outages[place] = outage{since: time.Now(), out: map[secret.ID]bool{}}
			t.metrics.Outage(true)
			t.log.Warn("KMS can't be read; keeping the present secrets and trying on", "place", place, "err", err)
		}
		t.outages[place].out[id] = true
		return
	}
	t.reached(id)
	if why := reason(err); t.refused[id] != why {
		t.refused[id] = why
		t.log.Warn("a secret can't be read; keeping its present value and trying on", "secret", id.String(), "err", err)
	}
}

// reached notes that KMS has answered for id. A secret that two outages have hit one
// after the other was read in neither: it counts for both until then.
func (t *trouble) reached(id secret.ID) {
	for _, o := range t.outages {
		delete(o.out, id)
	}
}

func (t *trouble) read(id secret.ID) {
	t.reached(id)
	if _, was := t.refused[id]; was {
		delete(t.refused, id)
		t.log.Info("the secret can be read again", "secret", id.String())
	}
}

// roundEnded ends an outage when every secret that it hit was read, or refused,
// since: not at the first good answer, or a half-broken service would fill the log.
func (t *trouble) roundEnded() {
	for _, place := range slices.Sorted(maps.Keys(t.outages)) {
		if o := t.outages[place]; len(o.out) == 0 {
			t.log.Info("KMS can be read again", "place", place, "after", time.Since(o.since).Round(time.Millisecond))
			delete(t.outages, place)
		}
	}
	t.metrics.Outage(len(t.outages) > 0)
}
