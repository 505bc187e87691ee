package metrics

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// TestStatus: the answer is JSON, with ages as of now.
func TestStatus(t *testing.T) {
	t.Parallel()
	hourAgo, minuteAgo := time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
	e := serveState(t, config.HTTP{Listen: loopback}, State{Status: func() Status {
		return Status{
			Started: true,
			Secrets: []Secret{{Secret: "db", Stage: "ACSCurrent", Version: "v1", State: SecretFailing, Error: "throttled", Created: &hourAgo, LastGood: &minuteAgo}},
			Child:   &Child{PID: 7, Started: hourAgo, Starts: 2, State: "running"},
			Action:  &Action{Action: "restart", At: minuteAgo},
		}
	}})
	response := e.send(e.request("GET /status"))
	if got, want := response.Header.Get("Content-Type"), "application/json"; got != want {
		t.Errorf("type: got %q, want %q", got, want)
	}
	var got Status
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Version != "test" || !got.Started || got.Child.PID != 7 || got.Child.Starts != 2 || got.Action.Action != "restart" {
		t.Errorf("got %+v", got)
	}
	s := got.Secrets[0]
	if s.Secret != "db" || s.State != SecretFailing || s.Error != "throttled" || s.NextPoll != nil {
		t.Errorf("secret: got %+v", s)
	}
	if *s.Age < 3600 || *s.Age > 3700 || *s.Staleness < 60 || *s.Staleness > 160 {
		t.Errorf("ages: got %v and %v, want an hour and a minute", *s.Age, *s.Staleness)
	}
}

// TestNoSecrets: an empty list is a list.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	e := serveState(t, config.HTTP{Listen: loopback}, State{Status: func() Status { return Status{} }})
	body, err := io.ReadAll(e.send(e.request("GET /status")).Body)
	if err != nil || !strings.Contains(string(body), `"secrets": []`) {
		t.Errorf("got %s and %v", body, err)
	}
}

// TestStatusIsProtected: names of secrets are for those who may poke.
func TestStatusIsProtected(t *testing.T) {
	t.Parallel()
	status := State{Status: func() Status { return Status{} }}
	for settings, want := range map[config.HTTP]int{
		{Listen: loopback}:                                 http.StatusOK,
		{Listen: loopback, TokenFile: "/none"}:             http.StatusUnauthorized,
		{Listen: ":0"}:                                     http.StatusForbidden,
		{Listen: ":0", Insecure: true}:                     http.StatusForbidden,
		{Listen: ":0", Insecure: true, TokenFile: "/none"}: http.StatusUnauthorized,
	} {
		serveState(t, settings, status).wantStatus(want, "GET /status")
	}
	e := serveState(t, config.HTTP{Listen: loopback}, status)
	e.wantStatus(http.StatusMethodNotAllowed, "POST /status")
	r := e.request("GET /status")
	r.Host = "evil.example"
	if got, want := e.send(r).StatusCode, http.StatusForbidden; got != want {
		t.Errorf("another host: got %d, want %d", got, want)
	}
}

// TestHold: who may poke may hold and release.
func TestHold(t *testing.T) {
	t.Parallel()
	held := make(chan bool, 1)
	state := State{Hold: func(hold bool) { held <- hold }}
	e := serveState(t, config.HTTP{Listen: loopback}, state)
	for path, want := range map[string]bool{"/-/hold": true, "/-/release": false} {
		e.wantStatus(http.StatusOK, "POST "+path)
		if got := <-held; got != want {
			t.Errorf("%s: got %t, want %t", path, got, want)
		}
		e.wantStatus(http.StatusMethodNotAllowed, "GET "+path)
	}
	serveState(t, config.HTTP{Listen: ":0"}, state).wantStatus(http.StatusForbidden, "POST /-/hold")
	serveState(t, config.HTTP{Listen: loopback, TokenFile: "/none"}, state).wantStatus(http.StatusUnauthorized, "POST /-/release")
}

// TestWebhook: an event of EventBridge means a poll, whatever it says.
func TestWebhook(t *testing.T) {
	t.Parallel()
	e := serve(t, config.HTTP{Listen: loopback})
	for i, body := range []string{
		`{"id":"45ef4dewdwe1-7c35-447a-bd93-fab****","source":"acs.kms","specversion":"1.0","type":"kms:Secret:RotateSecret:Success","data":{"secretName":"prod/db"}}`,
		`{"type":"kms:Secret:RotateSecret:Failure"}`,
		`not JSON`,
		``,
	} {
		r := e.request("POST /-/refresh", "Content-Type: application/cloudevents+json; charset=UTF-8")
		r.Body = io.NopCloser(strings.NewReader(body))
		if got, want := e.send(r).StatusCode, http.StatusAccepted; got != want {
			t.Errorf("%s: got %d, want %d", body, got, want)
		}
		if got, want := e.refreshed.Load(), int64(i+1); got != want {
			t.Errorf("polls: got %d, want %d", got, want)
		}
	}
}

// serveState is serve with another state.
func serveState(t *testing.T, settings config.HTTP, state State) *endpoint {
	t.Helper()
	return serveWith(t, settings, &program{}, state, slog.New(slog.DiscardHandler))
}
