package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// outageSeries tell how old what the program has is, and where it came from.
type outageSeries struct {
	stale      *prometheus.GaugeVec
	failures   *prometheus.CounterVec
	fromSealed prometheus.Gauge
	seals      *prometheus.CounterVec
	sealedAt   prometheus.Gauge
}

func newOutageSeries(factory promauto.Factory) outageSeries {
	return outageSeries{
		stale: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kmsrun_secret_stale", Help: "1 while a secret has not been read for longer than watch.max_stale (without one, three intervals and 10 s), else 0.",
		}, []string{"secret", "stage"}),
		failures: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "kmsrun_secret_read_failures_total", Help: "Reads of a secret that failed for good, tries included, by kind.",
		}, []string{"secret", "stage", "kind"}),
		fromSealed: factory.NewGauge(prometheus.GaugeOpts{
			Name: "kmsrun_secrets_from_sealed", Help: "Secrets that came from the sealed snapshot and have not been read from KMS since.",
		}),
		seals: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "kmsrun_sealed_writes_total", Help: "Writes of the sealed snapshot, by result: written or failed.",
		}, []string{"result"}),
		sealedAt: factory.NewGauge(prometheus.GaugeOpts{
			Name: "kmsrun_sealed_last_write_timestamp_seconds", Help: "When the sealed snapshot was last written, in Unix time; 0 for never.",
		}),
	}
}

// Stale notes whether a secret is stale.
func (m *Metrics) Stale(name, stage string, stale bool) {
	m.stale.WithLabelValues(name, stage).Set(oneIf(stale))
}

// SecretFailed counts a failed read by its kind, in words.
func (m *Metrics) SecretFailed(name, stage, kind string) {
	m.failures.WithLabelValues(name, stage, strings.ReplaceAll(kind, " ", "_")).Inc()
}

// FromSealed notes how many secrets are served from the sealed snapshot.
func (m *Metrics) FromSealed(secrets int) { m.fromSealed.Set(float64(secrets)) }

// Sealed counts a write of the sealed snapshot.
func (m *Metrics) Sealed(written bool, at time.Time) {
	if !written {
		m.seals.WithLabelValues("failed").Inc()
		return
	}
	m.seals.WithLabelValues("written").Inc()
	m.sealedAt.Set(float64(at.UnixMilli()) / 1000)
}

// SealedStatus is the sealed snapshot as the status of a run shows it.
type SealedStatus struct {
	File    string    `json:"file"`
	Written time.Time `json:"written,omitzero"` // by this process
	Serving []string  `json:"serving"`          // references whose value came from the file and was not read since
}
