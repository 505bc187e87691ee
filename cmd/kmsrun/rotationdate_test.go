package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestRotationDate: a rotation is found about its date, though no poll would be due
// today. (The clock of the emulator can't be behind ours: the answers are canned.)
func TestRotationDate(t *testing.T) {
	t.Parallel()
	date := sync.OnceValue(func() time.Time { return time.Now().Add(time.Second) }) // of the first answer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		version, next := "v1", date()
		if time.Now().After(next) {
			version, next = "v2", next.Add(24*time.Hour)
		}
		_, _ = fmt.Fprintf(w, `{"SecretName":"db","SecretData":"value of %s","VersionId":"%s","NextRotationDate":"%s","RequestId":"R-1"}`,
			version, version, next.UTC().Format(time.RFC3339Nano))
	}))
	defer server.Close()
	settings := filepath.Join(t.TempDir(), "kmsrun.yaml")
	declaration := "watch: {interval: 24h, rotation_interval: 100ms, debounce: 0s}\nenv: {DB: kms://db}\n"
	if err := os.WriteFile(settings, []byte(declaration), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"PATH=" + os.Getenv("PATH"), "KMSRUN_ENDPOINT=" + server.URL, "NO_PROXY=*", "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true",
		"ALIBABA_CLOUD_ACCESS_KEY_ID=id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=secret",
	}
	r := start(t, environ, "exec", "-c", settings, "--", "sh", "-c", `trap 'exit 0' TERM; echo $DB; while :; do sleep 0.02; done`)
	r.awaitOutput("value of v1\nvalue of v2\n")
	_ = r.Process.Signal(syscall.SIGTERM)
	r.wait()
}
