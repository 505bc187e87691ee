package watch

import (
	"log/slog"
	"time"

	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// trouble remembers which secrets can't be read, so that each change of state is
// logged once: an outage as one, however many secrets it hits, and a refusal per
// secret.
type trouble struct {
	log     *slog.Logger
	metrics *metrics.Metrics
	since   time.Time            // of the outage; zero without one
	out     map[secret.ID]bool   // not read since the outage began
	refused map[secret.ID]string // with the reason
}

func newTrouble(log *slog.Logger, m *metrics.Metrics) *trouble {
	return &trouble{log: log, metrics: m, out: map[secret.ID]bool{}, refused: map[secret.ID]string{}}
}

func (t *trouble) failed(id secret.ID, err error) {
	if Outage(err) {
		t.out[id] = true
		if t.since.IsZero() {
			t.since = time.Now()
			t.metrics.Outage(true)
			t.log.Warn("KMS can't be read; keeping the present secrets and trying on", "err", err)
		}
		return
	}
	delete(t.out, id)
	if why := reason(err); t.refused[id] != why {
		t.refused[id] = why
		t.log.Warn("a secret can't be read; keeping its present value and trying on", "secret", id.String(), "err", err)
	}
}

func (t *trouble) read(id secret.ID) {
	delete(t.out, id)
	if _, was := t.refused[id]; was {
		delete(t.refused, id)
		t.log.Info("the secret can be read again", "secret", id.String())
	}
}

// roundEnded ends an outage when every secret that it hit was read, or refused,
// since: not at the first good answer, or a half-broken service would fill the log.
func (t *trouble) roundEnded() {
	if t.since.IsZero() || len(t.out) > 0 {
		return
	}
	t.log.Info("KMS can be read again", "after", time.Since(t.since).Round(time.Millisecond))
	t.since = time.Time{}
	t.metrics.Outage(false)
}
