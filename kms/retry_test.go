package kms

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// ledger is an Observer that keeps the codes.
type ledger struct {
	mu    sync.Mutex
	codes []string
	heard func() // called with each call
}

func (l *ledger) observe(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.codes = append(l.codes, c.Action+" "+c.Code)
	if l.heard != nil {
		l.heard()
	}
}

// inTurn answers with one code after the other, "" for success; the last one stays.
func inTurn(codes ...string) http.Handler {
	var calls atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		code := codes[min(int(calls.Add(1)), len(codes))-1]
		if code == "" {
			_, _ = io.WriteString(w, goodAnswer)
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, kmsError(code))
	})
}

func TestGetPatiently(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		answers []string
		kind    Kind // empty: success
		calls   []string
	}{
		{"at once", []string{""}, "", []string{"OK"}},
		{
			"after an outage",
			[]string{"ServiceUnavailableTemporary", "Throttling", ""},
			"",
			[]string{"ServiceUnavailableTemporary", "Throttling", "OK"},
		},
		{"not after a refusal", []string{"Forbidden.NoPermission", ""}, Denied, []string{"Forbidden.NoPermission"}},
		{
			"a refusal after an outage",
			[]string{"InternalFailure", "Forbidden.ResourceNotFound", ""},
			NotFound,
			[]string{"InternalFailure", "Forbidden.ResourceNotFound"},
		},
		{"a failure without a code", []string{"?"}, Invalid, []string{"invalid_answer"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, inTurn(test.answers...))
			var l ledger
			c := newClient(t, settingsFor(server.URL), withToken())
			c.observe = l.observe
			value, err := c.GetPatiently(t.Context(), t.Context(), current)
			if test.kind != "" {
				failure(t, err, test.kind)
			} else if err != nil || value.Version != "v1" {
				t.Errorf("got version %q and error %v, want v1", value.Version, err)
			}
			var want []string
			for _, code := range test.calls {
				want = append(want, "GetSecretValue "+code)
			}
			if got := l.codes; !slices.Equal(got, want) {
				t.Errorf("calls: got %q, want %q", got, want)
			}
		})
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		get  func(c *Client, ended context.Context) error
	}{
		{"patience", func(c *Client, ended context.Context) error {
			_, err := c.GetPatiently(t.Context(), ended, current)
			return err
		}},
		{"the context", func(c *Client, ended context.Context) error {
			_, err := c.GetPatiently(ended, t.Context(), current)
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, inTurn("Rejected.Throttling"))
			ctx, cancel := context.WithCancel(t.Context())
			l := ledger{heard: cancel}
			c := newClient(t, settingsFor(server.URL), withToken())
			c.observe = l.observe
			failure(t, test.get(c, ctx), Throttled)
			if got, want := l.codes, []string{"GetSecretValue Rejected.Throttling"}; !slices.Equal(got, want) {
				t.Errorf("calls: got %q, want %q", got, want)
			}
		})
	}
}

// TestPatienceLeavesCalls: a call that is under way when patience ends may still
// bring the value.
func TestPatienceLeavesCalls(t *testing.T) {
	t.Parallel()
	patience, cancel := context.WithCancel(t.Context())
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		_, _ = io.WriteString(w, goodAnswer)
	}))
	c := newClient(t, settingsFor(server.URL), withToken())
	if _, err := c.GetPatiently(t.Context(), patience, current); err != nil {
		t.Error(err)
	}
}
