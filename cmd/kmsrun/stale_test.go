package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// patientProgram says when it is asked to end.
const patientProgram = `trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done`

// TestUnreadyWhenStale: on_stale: unready turns readiness off and on again, and leaves
// the program alone.
func TestUnreadyWhenStale(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", "one")
	declaration := put(t, t.TempDir(), "kmsrun.yaml", "watch: {interval: 100ms, max_stale: 1s}\nenv: {DB: 'kms://db'}\n")
	socket := filepath.Join(shm(t), "http.sock")
	r := start(t, s.environ(), "exec", "-c", declaration, "--listen", "unix:"+socket, "--", "sh", "-c", patientProgram)
	r.awaitOutput("ready\n")
	ready := func(want int) func() bool {
		return func() bool { status, _ := get(t, socket, "GET", "/readyz"); return status == want }
	}
	r.await("readiness", ready(200))
	s.stop()
	r.await("the end of readiness", ready(503))
	if got := metric(t, socket, `kmsrun_secret_stale{secret="db",stage="ACSCurrent"}`); got != "1" {
		t.Errorf("kmsrun_secret_stale: got %q, want 1", got)
	}
	for _, path := range []string{"/livez", "/startupz"} {
		if status, _ := get(t, socket, "GET", path); status != 200 {
			t.Errorf("%s: got %d, want 200", path, status)
		}
	}
	s.start(t, s.address)
	r.await("readiness again", ready(200))
	r.await("the line about the end", func() bool { return strings.Contains(r.err.String(), `msg="no secret is stale any more"`) })
	if got := r.out.String(); got != "ready\n" {
		t.Errorf("the program was touched: got %q", got)
	}
	for line, want := range map[string]int{`msg="secrets are stale: they have not been read for too long" secrets=[kms://db] limit=1s then=unready`: 1, `msg="no secret is stale any more"`: 1} {
		if got := strings.Count(r.err.String(), line); got != want {
			t.Errorf("lines with %q: got %d, want %d in\n%s", line, got, want, r.err.String())
		}
	}
}

// TestExitWhenStale: on_stale: exit ends the program as a stop of ours, and kmsrun with
// the status of an outage.
func TestExitWhenStale(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", "one")
	declaration := put(t, t.TempDir(), "kmsrun.yaml", "watch: {interval: 100ms, max_stale: 300ms, on_stale: exit}\nenv: {DB: 'kms://db'}\n")
	r := start(t, s.environ(), "exec", "-c", declaration, "--", "sh", "-c", patientProgram)
	r.awaitOutput("ready\n")
	s.stop()
	if got := r.wait(); got != 124 || r.out.String() != "ready\nasked\n" {
		t.Errorf("got status %d, output %q; want 124, and the program asked to end", got, r.out.String())
	}
	if got := strings.Count(r.err.String(), `level=ERROR msg="the secrets are too old to go on with; ending" max_stale=300ms status=124`); got != 1 {
		t.Errorf("lines about the end: got %d, want 1 in\n%s", got, r.err.String())
	}
}

// TestExitWhenStaleKills: a program that does not end is killed after stop_timeout.
func TestExitWhenStaleKills(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", "one")
	declaration := put(t, t.TempDir(), "kmsrun.yaml", "watch: {interval: 100ms, max_stale: 200ms, on_stale: exit}\nchild: {stop_timeout: 200ms}\nenv: {DB: 'kms://db'}\n")
	r := start(t, s.environ(), "exec", "-c", declaration, "--", "sh", "-c", `trap '' TERM; echo ready; while :; do sleep 0.05; done`)
	r.awaitOutput("ready\n")
	s.stop()
	if got := r.wait(); got != 124 {
		t.Errorf("status: got %d, want 124; stderr:\n%s", got, r.err.String())
	}
}
