package metrics

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/kmsrun/kmsrun/config"
)

// each calls every method once.
func each() *Metrics {
	m := New("v1.2.3")
	m.KMSCall("GetSecretValue", "OK", 30*time.Millisecond)
	m.SecretRead("prod/db", "ACSCurrent", time.UnixMilli(1767323045500))
	m.SecretServed("prod/db", "ACSCurrent", "v1")
	m.Outage(true)
	m.Outage(false)
	m.Generation("published")
	m.ChildStarted("start")
	m.ChildSignalled("forwarded")
	m.EnvStale(true)
	m.Notified("signal", true)
	m.Notified("http", false)
	m.Stale("prod/db", "ACSCurrent", true)
	m.SecretFailed("prod/db", "ACSCurrent", "access denied")
	m.FromSealed(2)
	m.Sealed(true, time.UnixMilli(1767323045500))
	m.Sealed(false, time.UnixMilli(1767323046500))
	return m
}

// scrape is what /metrics says of our own series.
func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	handler(config.HTTP{Listen: ":9153"}, m, State{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if got, want := w.Code, http.StatusOK; got != want {
		t.Fatalf("status: got %d, want %d", got, want)
	}
	var ours strings.Builder
	for line := range strings.Lines(w.Body.String()) {
		if name := strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "); strings.HasPrefix(name, "kmsrun_") {
			ours.WriteString(line)
		}
	}
	return ours.String()
}

func TestSeries(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/series.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := scrape(t, each()), string(want); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestSeriesFollow: what a second call does.
func TestSeriesFollow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		second func(m *Metrics)
		want   string
		gone   string
	}{
		{
			"another version takes the place of the first",
			func(m *Metrics) { m.SecretServed("prod/db", "ACSCurrent", "v2") },
			`kmsrun_secret_version_info{secret="prod/db",stage="ACSCurrent",version_id="v2"} 1`, `kmsrun_secret_version_info{secret="prod/db",stage="ACSCurrent",version_id="v1"} 1`,
		},
		{
			"another stage stands beside it",
			func(m *Metrics) { m.SecretServed("prod/db", "ACSPrevious", "v0") },
			`kmsrun_secret_version_info{secret="prod/db",stage="ACSCurrent",version_id="v1"} 1`, "",
		},
		{"an outage", func(m *Metrics) { m.Outage(true) }, "kmsrun_kms_up 0", "kmsrun_kms_up 1"},
		{"an environment that is current again", func(m *Metrics) { m.EnvStale(false) }, "kmsrun_child_env_stale 0", "kmsrun_child_env_stale 1"},
		{
			"calls are counted by code",
			func(m *Metrics) { m.KMSCall("GetSecretValue", "unavailable", time.Minute) },
			`kmsrun_kms_requests_total{action="GetSecretValue",code="unavailable"} 1`, "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := each()
			test.second(m)
			got := scrape(t, m)
			if !strings.Contains(got, test.want+"\n") {
				t.Errorf("got\n%swant in it %s", got, test.want)
			}
			if test.gone != "" && strings.Contains(got, test.gone+"\n") {
				t.Errorf("got\n%swant it without %s", got, test.gone)
			}
		})
	}
}

// TestUpAtFirst: a program that polls nothing is not in an outage.
func TestUpAtFirst(t *testing.T) {
	t.Parallel()
	if got, want := scrape(t, New("test")), "\nkmsrun_kms_up 1\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%swant in it %s", got, want)
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	problems, err := promlint.New(strings.NewReader(scrape(t, each()))).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
