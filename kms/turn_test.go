package kms

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

// TestThrottledTakeTurns: of many throttled reads one at a time tries again.
func TestThrottledTakeTurns(t *testing.T) {
	t.Parallel()
	const reads = 8
	var calls atomic.Int64
	var open atomic.Bool
	allThere := make(chan struct{})
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == reads {
			close(allThere)
		}
		if open.Load() {
			_, _ = io.WriteString(w, answerFor(r))
			return
		}
		<-allThere
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, kmsError("Rejected.Throttling"))
		if calls.Load() >= reads+3 {
			open.Store(true)
		}
	}))
	c := newClient(t, settingsFor(server.URL), withToken())
	var all sync.WaitGroup
	for i := range reads {
		all.Go(func() {
			id := secret.ID{Name: "s" + string(rune('0'+i)), Stage: secret.StageCurrent}
			if _, err := c.GetPatiently(t.Context(), t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, want := calls.Load(), int64(reads+3+reads); got > want {
		t.Errorf("calls: got %d, want %d or fewer: each read once, three tries, and each once more", got, want)
	}
}

// TestTurnIsHandedOn: whoever gives up holds up nobody.
func TestTurnIsHandedOn(t *testing.T) {
	t.Parallel()
	server := serve(t, inTurn("Rejected.Throttling"))
	c := newClient(t, settingsFor(server.URL), withToken())
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := c.GetPatiently(t.Context(), ctx, current)
		failure(t, err, Throttled)
		cancel()
	}
	select {
	case try := <-c.profiles["default"].retry:
		if try < 3 {
			t.Errorf("pauses: got %d, want 3 or more: the next goes on from there", try)
		}
	default:
		t.Error("nobody handed the turn on")
	}
}

func answerFor(r *http.Request) string {
	return `{"SecretName":"` + r.URL.Query().Get("SecretName") + `","SecretData":"x","VersionId":"v1","RequestId":"R-1"}`
}
