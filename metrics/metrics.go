// Package metrics holds kmsrun's Prometheus series, in a registry of its own, and
// the HTTP endpoint that serves them beside the probes. No value, hash or length
// of a secret is ever a label; names and version ids are.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics is the set of all series.
type Metrics struct {
	build       string // of kmsrun
	registry    *prometheus.Registry
	calls       *prometheus.CounterVec
	callSeconds *prometheus.HistogramVec
	version     *prometheus.GaugeVec
	lastRead    *prometheus.GaugeVec
	up          prometheus.Gauge
	generations *prometheus.CounterVec
	starts      *prometheus.CounterVec
	signals     *prometheus.CounterVec
	envStale    prometheus.Gauge
	reloads     *prometheus.CounterVec
	notified    *prometheus.CounterVec
	outageSeries
}

// New makes the series, each at zero, but kmsrun_kms_up: with nothing to poll,
// nobody would ever raise it.
func New(version string) *Metrics {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	factory := promauto.With(registry)
	factory.NewGauge(prometheus.GaugeOpts{
		Name: "kmsrun_build_info", Help: "Always 1; the version is a label.",
		ConstLabels: prometheus.Labels{"version": version},
	}).Set(1)
	m := &Metrics{
		build:    version,
		registry: registry,
		calls: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "kmsrun_kms_requests_total", Help: "Calls to KMS, by action and by OK, KMS error code or kind of failure.",
		}, []string{"action", "code"}),
		callSeconds: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name: "kmsrun_kms_request_duration_seconds", Help: "Duration of calls to KMS.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"action"}),
		version: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kmsrun_secret_version_info", Help: "Always 1; the version of each secret that was published last.",
		}, []string{"secret", "stage", "version_id"}),
		lastRead: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "kmsrun_secret_last_success_timestamp_seconds", Help: "When each secret was last read, in Unix time.",
		}, []string{"secret", "stage"}),
		up: factory.NewGauge(prometheus.GaugeOpts{
			Name: "kmsrun_kms_up", Help: "0 while KMS is out of reach or throttles, else 1.",
		}),
		generations: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "kmsrun_generations_total", Help: "Renderings of a new snapshot, by result: published, unchanged, failed, refused by verification, or rolled_back.",
		}, []string{"result"}),
		starts: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "kmsrun_child_starts_total", Help: "Starts of the program, by reason: start, change or rollback.",
		}, []string{"reason"}),
		signals: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "kmsrun_child_signals_total", Help: "Signals sent to the program, by reason: forwarded, change, restart, exit, leftovers or stale.",
		}, []string{"reason"}),
		envStale: factory.NewGauge(prometheus.GaugeOpts{
			Name: "kmsrun_child_env_stale", Help: "1 while the program runs with an environment older than the newest secrets, else 0.",
		}),
		reloads: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "kmsrun_reloads_total", Help: "Edits of the declaration and its files, by result: applied, unchanged or refused.",
		}, []string{"result"}),
		outageSeries: newOutageSeries(factory),
	}
	m.notified = factory.NewCounterVec(prometheus.CounterOpts{
		Name: "kmsrun_notifications_total", Help: "Tries to tell others than the program of a change, by action and by result: ok or failed.",
	}, []string{"action", "result"})
	m.Outage(false)
	for _, result := range []string{"published", "unchanged", "failed", "refused", "rolled_back"} {
		m.generations.WithLabelValues(result) // at zero: an alert sees no increase in a series that begins at 1
	}
	for _, action := range []string{"touch", "signal", "exec", "http"} {
		for _, result := range []string{"ok", "failed"} {
			m.notified.WithLabelValues(action, result)
		}
	}
	return m
}

// KMSCall counts one call.
func (m *Metrics) KMSCall(action, code string, took time.Duration) {
	m.calls.WithLabelValues(action, code).Inc()
	m.callSeconds.WithLabelValues(action).Observe(took.Seconds())
}

// SecretRead notes that a secret was read.
func (m *Metrics) SecretRead(name, stage string, at time.Time) {
	m.lastRead.WithLabelValues(name, stage).Set(float64(at.UnixMilli()) / 1000)
}

// SecretServed notes which version was published.
func (m *Metrics) SecretServed(name, stage, version string) {
	if stage != "" { // a pinned version has no stage, and no successor
		m.version.DeletePartialMatch(prometheus.Labels{"secret": name, "stage": stage})
	}
	m.version.WithLabelValues(name, stage, version).Set(1)
}

// SecretGone forgets a secret that is not read any more.
func (m *Metrics) SecretGone(name, stage string) {
	m.version.DeletePartialMatch(prometheus.Labels{"secret": name, "stage": stage})
	m.lastRead.DeleteLabelValues(name, stage)
}

// Reload counts an edit of the declaration: applied, unchanged or refused.
func (m *Metrics) Reload(result string) { m.reloads.WithLabelValues(result).Inc() }

// Outage notes whether KMS is out of reach.
func (m *Metrics) Outage(now bool) { m.up.Set(oneIf(!now)) }

// Generation counts a rendering: published, unchanged, failed, refused or rolled_back.
func (m *Metrics) Generation(result string) { m.generations.WithLabelValues(result).Inc() }

// ChildStarted counts a start: start, change or rollback.
func (m *Metrics) ChildStarted(reason string) {
	m.starts.WithLabelValues(reason).Inc()
}

// ChildSignalled counts a signal: forwarded, change, restart or stale.
func (m *Metrics) ChildSignalled(reason string) { m.signals.WithLabelValues(reason).Inc() }

// Notified counts a try to tell others than the program.
func (m *Metrics) Notified(action string, ok bool) {
	result := "failed"
	if ok {
		result = "ok"
	}
	m.notified.WithLabelValues(action, result).Inc()
}

// EnvStale notes whether the program's environment differs from the newest secrets.
func (m *Metrics) EnvStale(stale bool) { m.envStale.Set(oneIf(stale)) }

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
