package kms

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, value string
		want        time.Duration
	}{
		{"Retry-After", "3", 3 * time.Second},
		{"Retry-After", "86400", longestPause},
		{"Retry-After", "soon", 0},
		{"Retry-After", "Mon, 02 Jan 2006 15:04:05 GMT", 0},
		{"X-Ratelimit-User-Api", "Limit:10,Remain:0,TimeLeft:1500", 1500 * time.Millisecond},
		{"X-Ratelimit-User", "Limit:10,Remain:3,TimeLeft:1500", 0},
		{"X-Ratelimit-User", "TimeLeft:20", 20 * time.Millisecond},
		{"X-Ratelimit-User", "TimeLeft:999999999", longestPause},
	} {
		if got := pause(http.Header{test.name: {test.value}}, true); got != test.want {
			t.Errorf("%s: %s: got %s, want %s", test.name, test.value, got, test.want)
		}
	}
}

// TestWindowOfAnOutage: that a window ends in a minute is no reason to wait for it.
func TestWindowOfAnOutage(t *testing.T) {
	t.Parallel()
	header := http.Header{"X-Ratelimit-User": {"Limit:10,Remain:0,TimeLeft:58000"}, "Retry-After": {"2"}}
	if got, want := pause(header, false), 2*time.Second; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	most := func(limit time.Duration) time.Duration { return limit }
	none := func(time.Duration) time.Duration { return 0 }
	for try, want := range map[int]time.Duration{0: 200, 1: 250, 2: 312, 10: 1862, 14: 4547, 15: 5000, 99999: 5000} {
		if got := Backoff(try, 0, most).Truncate(time.Millisecond); got != want*time.Millisecond {
			t.Errorf("try %d: got at most %s, want %s", try, got, want*time.Millisecond)
		}
	}
	if got := Backoff(60, time.Second, none); got != time.Second {
		t.Errorf("got %s, want no less than what was asked for", got)
	}
}

// TestClock says how far off this machine is.
func TestClock(t *testing.T) {
	t.Parallel()
	for offset, want := range map[time.Duration]string{-time.Hour: " is 1h0m", time.Hour: "behind"} {
		server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(offset).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, kmsError("InvalidTimeStamp.Expired"))
		}))
		_, err := newClient(t, settingsFor(server.URL), withToken()).Get(t.Context(), current)
		failure(t, err, Clock)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %s, want %q in it", offset, err, want)
		}
	}
}

// TestRetryAfter waits as long as it was asked to.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	var calls []time.Time
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls = append(calls, time.Now()); len(calls) > 1 {
			_, _ = io.WriteString(w, goodAnswer)
			return
		}
		w.Header().Set("X-RateLimit-User", "Limit:1,TimeLeft:700")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, kmsError("Throttling.User"))
	}))
	c := newClient(t, settingsFor(server.URL), withToken())
	if _, err := c.Poll(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	if got := calls[1].Sub(calls[0]); got < 700*time.Millisecond {
		t.Errorf("tried again after %s, want 700ms at least", got)
	}
}
