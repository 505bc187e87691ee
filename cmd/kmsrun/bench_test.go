package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkStart measures from the start of the process to the child's first
// instruction, beside a floor program, in one run. Both ask servers on loopback.
func BenchmarkStart(b *testing.B) {
	s := newService(b)
	canned := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"SecretName":"s","SecretData":"value","VersionId":"v1","RequestId":"r"}`)
	}))
	defer canned.Close()
	dir := b.TempDir()
	floor, child := filepath.Join(dir, "floor"), filepath.Join(dir, "child")
	for path, pkg := range map[string]string{floor: "./testdata/floor", child: "./testdata/child"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if output, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("building %s: %v\n%s", pkg, err, output)
		}
	}
	for _, count := range []int{0, 1, 100} {
		environ := s.environ("KMSRUN_LOG_LEVEL=error")
		for i := range count {
			name := "s" + strconv.Itoa(i)
			s.put(b, name, "v1", "value")
			environ = append(environ, fmt.Sprintf("S%d=kms://%s", i, name))
		}
		kmsrun := binary(b)
		name := fmt.Sprintf("secrets=%d/", count)
		b.Run(name+"floor", func(b *testing.B) { timeStarts(b, count, nil, floor, canned.URL, strconv.Itoa(count), child) })
		b.Run(name+"once", func(b *testing.B) { timeStarts(b, count, environ, kmsrun, "exec", "--once", "--", child) })
		b.Run(name+"exec", func(b *testing.B) { timeStarts(b, count, environ, kmsrun, "exec", "--", child) })
	}
}

// timeStarts reports the median from process start to the child's first instruction.
func timeStarts(b *testing.B, secrets int, environ []string, argv ...string) {
	var took []float64
	for b.Loop() {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append([]string{"NO_PROXY=*"}, environ...)
		cmd.Stderr = os.Stderr
		var began unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &began); err != nil {
			b.Fatal(err)
		}
		output, err := cmd.Output()
		if err != nil {
			b.Fatal(err)
		}
		var first int64
		var given int
		if _, err := fmt.Sscan(string(output), &first, &given); err != nil || given != secrets {
			b.Fatalf("the child printed %q, want the time and %d", output, secrets)
		}
		took = append(took, float64(first-began.Nano())/1e6)
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms-to-child(p50)")
	b.ReportMetric(took[len(took)*99/100], "ms-to-child(p99)")
	b.ReportMetric(0, "ns/op") // the whole run, exits included: not what is asked
}

// BenchmarkSize reports the size of the binary, and the memory of a kmsrun that
// watches ten secrets and waits.
func BenchmarkSize(b *testing.B) {
	s := newService(b)
	environ := s.environ()
	for i := range 10 {
		s.put(b, "s"+strconv.Itoa(i), "v1", "value")
		environ = append(environ, fmt.Sprintf("S%d=kms://s%d", i, i))
	}
	info, err := os.Stat(binary(b))
	if err != nil {
		b.Fatal(err)
	}
	r := start(b, environ, "exec", "--interval", "1s", "--", "sh", "-c", "echo started; exec sleep 100")
	r.awaitOutput("started")
	time.Sleep(3 * time.Second) // a few polls, then the memory of a kmsrun at rest
	for b.Loop() {
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB-binary")
	b.ReportMetric(resident(b, r.Process.Pid), "MiB-RSS")
	b.ReportMetric(0, "ns/op")
	_ = r.Process.Signal(syscall.SIGTERM)
	r.wait()
}

func resident(b *testing.B, pid int) float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kib) / 1024
}
