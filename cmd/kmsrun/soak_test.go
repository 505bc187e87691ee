//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// footprint is what a process takes.
type footprint struct{ files, threads, zombies, rss int } // rss in KiB

func footprintOf(t *testing.T, pid int) (f footprint) {
	t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	number := func(field string) int {
		m := regexp.MustCompile(`(?m)^` + field + `:\s+(\d+)`).FindSubmatch(status)
		n, _ := strconv.Atoi(string(m[1]))
		return n
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		text, _ := os.ReadFile(stat) // gone meanwhile
		if strings.Contains(string(text), fmt.Sprintf(") Z %d ", pid)) {
			f.zombies++
		}
	}
	f.files, f.threads, f.rss = len(files), number("Threads"), number("VmRSS")
	return f
}

// TestSoak rotates a secret, and so restarts a program that leaves an orphan each time,
// KMSRUN_TEST_SOAK times: make soak. The goroutines are counted in inject's own test.
func TestSoak(t *testing.T) {
	t.Parallel()
	restarts, long := 25, false
	if n, err := strconv.Atoi(os.Getenv("KMSRUN_TEST_SOAK")); err == nil {
		restarts, long = n, true
	}
	s := newService(t)
	s.put(t, "a", "v0", "0")
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "kmsrun.yaml"), filepath.Join(dir, "socket")
	declaration := `
env: {A: kms://a}
files: {dir: ` + shm(t) + `, items: {a: kms://a}}
watch: {interval: 1h, debounce: 0s}
on_change: {min_interval: 0s, max_per_hour: 0}
http: {listen: "unix:` + socket + `"}
log: {level: warn}
`
	if err := os.WriteFile(file, []byte(declaration), 0o600); err != nil {
		t.Fatal(err)
	}
	said := filepath.Join(dir, "said")
	r := start(t, s.environ("SAID="+said), "exec", "-c", file, "--", "sh", "-c",
		`trap 'exit 0' TERM; (setsid sleep 0 &); sleep 0 & echo "start $A." >$SAID; while :; do sleep 0.01; done`)
	started := func(n int) {
		t.Helper()
		r.await(fmt.Sprintf("start %d", n), func() bool { text, _ := os.ReadFile(said); return string(text) == fmt.Sprintf("start %d.\n", n) })
	}
	started(0)
	var early footprint
	for n := 1; n <= restarts; n++ {
		s.put(t, "a", fmt.Sprintf("v%d", n), strconv.Itoa(n))
		if status, body := get(t, socket, http.MethodPost, "/-/refresh"); status/100 != 2 {
			t.Fatalf("refresh: got %d %s", status, body)
		}
		started(n)
		if n == max(restarts/10, 10) {
			early = footprintOf(t, r.Process.Pid)
		}
	}
	r.await("the orphans to be reaped", func() bool { return footprintOf(t, r.Process.Pid).zombies == 0 })
	late := footprintOf(t, r.Process.Pid)
	t.Logf("%d restarts: %+v early, %+v late", restarts, early, late)
	if late.files > early.files+2 || late.threads > early.threads+4 {
		t.Errorf("grown: got %+v, had %+v", late, early)
	}
	if long && late.rss > early.rss*5/4 {
		t.Errorf("memory: got %d KiB, had %d", late.rss, early.rss)
	}
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != 0 {
		t.Errorf("got %d, want 0; stderr:\n%s", got, r.err.String())
	}
}
