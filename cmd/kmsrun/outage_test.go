package main

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestOutage stops KMS for ten polls under a running program: nobody notices but
// the operator, once.
func TestOutage(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", "one")
	socket := filepath.Join(shm(t), "http.sock")
	r := start(t, s.environ("DB=kms://db", "KMSRUN_CONFIG="+absolute(t, "testdata/fast.yaml")),
		"exec", "--listen", "unix:"+socket, "--", "sh", "-c", `trap 'exit 0' TERM; echo $$ $DB; while :; do sleep 0.02; done`)
	r.awaitOutput(" one\n")
	first := r.out.String()

	s.stop()
	failed := func() int {
		_, text := get(t, socket, "GET", "/metrics")
		m := regexp.MustCompile(`kmsrun_kms_requests_total\{action="GetSecretValue",code="unavailable"\} (\d+)`).FindStringSubmatch(text)
		if m == nil {
			return 0
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	r.await("ten failed polls", func() bool { return failed() >= 10 })
	for _, path := range []string{"/readyz", "/livez", "/startupz"} {
		if status, body := get(t, socket, "GET", path); status != 200 {
			t.Errorf("%s during the outage: got %d %s, want 200", path, status, body)
		}
	}
	if _, text := get(t, socket, "GET", "/metrics"); !strings.Contains(text, "kmsrun_kms_up 0\n") {
		t.Error("want kmsrun_kms_up 0 during the outage")
	}
	if got := r.out.String(); got != first {
		t.Errorf("the program was touched: its output is %q, was %q", got, first)
	}

	s.start(t, s.address)
	r.await("the line about the end", func() bool { return strings.Contains(r.err.String(), "KMS can be read again") })
	s.put(t, "db", "v2", "two")
	r.awaitOutput(" two\n")
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0", got)
	}
	for line, want := range map[string]int{"KMS can't be read": 1, "KMS can be read again": 1, "level=ERROR": 0} {
		if got := strings.Count(r.err.String(), line); got != want {
			t.Errorf("lines with %q: got %d, want %d in\n%s", line, got, want, r.err.String())
		}
	}
}

// TestTemporary tells an outage at the start (124) from a failure that needs a
// person (125), which does not wait for the outage to end.
func TestTemporary(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", "one")
	s.stop()
	down := start(t, s.environ("DB=kms://db", "KMSRUN_CONFIG="+absolute(t, "testdata/fast.yaml")), "exec", "--", "echo", "started")
	if got := down.wait(); got != 124 {
		t.Errorf("exit status with KMS away: got %d, want 124; stderr:\n%s", got, down.err.String())
	}
	s.start(t, s.address)
	up := start(t, s.environ("DB=kms://db", "NONE=kms://none"), "exec", "--", "echo", "started")
	if got := up.wait(); got != 125 {
		t.Errorf("exit status with a secret missing: got %d, want 125; stderr:\n%s", got, up.err.String())
	}
	if out := down.out.String() + up.out.String(); out != "" {
		t.Errorf("the program was started: %q", out)
	}
}

// TestWaitsForKMS starts before KMS does.
func TestWaitsForKMS(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", "one")
	s.stop()
	r := start(t, s.environ("DB=kms://db"), "exec", "--", "sh", "-c", "echo $DB")
	r.await("the line that says it waits", func() bool { return strings.Contains(r.err.String(), "still waiting for KMS") })
	s.start(t, s.address)
	if got := r.wait(); got != 0 || r.out.String() != "one\n" {
		t.Errorf("got status %d, output %q; want 0 and one", got, r.out.String())
	}
}
