package kms

import (
	"net/http"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

// TestRateLimit: two seconds' worth at once, then the rate.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	server := serve(t, answering(http.StatusOK, goodAnswer))
	settings := settingsFor(server.URL)
	settings.RateLimit = 10
	c := newClient(t, settings, withToken())
	began := time.Now()
	for range 24 {
		if _, err := c.Get(t.Context(), secret.ID{Name: "prod/db", Stage: secret.StageCurrent}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := time.Since(began), 350*time.Millisecond; got < want {
		t.Errorf("24 calls took %s, want %s at least", got, want)
	}
}
