package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/metrics"
)

// TestPoke: a poke finds a change that no poll would find today, and /status tells.
func TestPoke(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", canary("one"))
	s.put(t, "app", "v1", canary("one"))
	socket := filepath.Join(shm(t), "http.sock")
	r := start(t, s.environ("DB=kms://db", "APP=kms://app"), "exec", "--interval", "24h", "--listen", "unix:"+socket,
		"--", "sh", "-c", `trap 'exit 0' TERM; echo started; while :; do sleep 0.02; done`)
	r.awaitOutput("started\n")
	// told is the status in short; the loop may be a moment behind the program.
	told := func() string {
		code, body := get(t, socket, http.MethodGet, "/status")
		var got metrics.Status
		if err := json.Unmarshal([]byte(body), &got); code != http.StatusOK || err != nil {
			t.Fatalf("got %d and %v: %s", code, err, body)
		}
		if strings.Contains(body, "canary") {
			t.Errorf("a value in the status: %s", body)
		}
		var text strings.Builder
		for _, secret := range got.Secrets {
			fmt.Fprintf(&text, "%s=%s %s, ", secret.Secret, secret.Version, secret.State)
		}
		if got.Child != nil {
			fmt.Fprintf(&text, "start %d, ", got.Child.Starts)
		}
		if got.Action != nil {
			text.WriteString(got.Action.Action)
		}
		return text.String()
	}
	r.await("the status at first", func() bool { return told() == "app=v1 ok, db=v1 ok, start 1, " })
	s.put(t, "db", "v2", canary("two"))
	if code, body := get(t, socket, http.MethodPost, "/-/refresh"); code != http.StatusAccepted {
		t.Fatalf("poke: got %d %s", code, body)
	}
	r.awaitOutput("started\nstarted\n")
	r.await("the status afterwards", func() bool { return told() == "app=v1 ok, db=v2 ok, start 2, restart" })
	_ = r.Process.Signal(syscall.SIGTERM)
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0", got)
	}
}

// TestPokeByEvent: an event of EventBridge is a poke, and so is any other body, of any size.
func TestPokeByEvent(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v0", canary("zero"))
	socket := filepath.Join(shm(t), "http.sock")
	r := start(t, s.environ(), "exec", "--interval", "24h", "--on-file-change", "SIGHUP", "--dir", filepath.Join(shm(t), "files"), "-f", "db=kms://db", "--listen", "unix:"+socket,
		"--", "sh", "-c", `trap 'exit 0' TERM; trap 'echo told' HUP; echo started; while :; do sleep 0.02; done`)
	r.awaitOutput("started\n")
	event := `{"id":"45ef4dewdwe1-7c35-447a-bd93-fab****","source":"acs.kms","specversion":"1.0","subject":"acs.kms:cn-hangzhou:123456789098****:215672","time":"2026-11-19T21:04:41+08:00",
"type":"kms:Secret:RotateSecret:Success","aliyunaccountid":"123456789098****","datacontenttype":"application/json;charset=utf-8","data":{"resourceName":"another","regionId":"cn-hangzhou"}}`
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	for i, body := range []string{event, "{", strings.Repeat("x", 200<<10)} {
		s.put(t, "db", "v"+strconv.Itoa(i+1), canary("one")+strconv.Itoa(i))
		response, err := client.Post("http://localhost/-/refresh", "application/cloudevents+json; charset=utf-8", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			t.Errorf("%.20s: got %s, want 202", body, response.Status)
		}
		r.await("the signal", func() bool { return strings.Count(r.out.String(), "told") == i+1 })
	}
	_ = r.Process.Signal(syscall.SIGTERM)
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0", got)
	}
}

// BenchmarkPoke measures from the poke to the signal in the program, with ten
// secrets read from an emulator on loopback, and the files published in between.
func BenchmarkPoke(b *testing.B) {
	s := newService(b)
	dir := b.TempDir()
	child := filepath.Join(dir, "poked")
	cmd := exec.Command("go", "build", "-trimpath", "-o", child, "./testdata/poked")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("building the program: %v\n%s", err, output)
	}
	// The quota of one process is for a fleet's sake, and no part of the way of one poke.
	settings := filepath.Join(dir, "kmsrun.yaml")
	if err := os.WriteFile(settings, []byte("kms: {rate_limit: 100000}\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	args := []string{"exec", "-c", settings, "--interval", "24h", "--on-file-change", "SIGHUP", "--dir", filepath.Join(shm(b), "files")}
	for i := range 10 {
		name := "s" + strconv.Itoa(i)
		s.put(b, name, "v1", "value")
		args = append(args, "-f", fmt.Sprintf("%s=kms://%s", name, name))
	}
	socket := filepath.Join(shm(b), "http.sock")
	r := start(b, s.environ("KMSRUN_LOG_LEVEL=warn"), append(args, "--listen", "unix:"+socket, "--", child)...)
	lines := func() []string { return strings.Fields(r.out.String()) }
	r.await("the program", func() bool { return len(lines()) == 1 })
	var took []float64
	for i := 2; b.Loop(); i++ {
		s.put(b, "s0", "v"+strconv.Itoa(i), "value "+strconv.Itoa(i))
		var began unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &began); err != nil {
			b.Fatal(err)
		}
		if code, body := get(b, socket, http.MethodPost, "/-/refresh"); code != http.StatusAccepted {
			b.Fatalf("poke: got %d %s", code, body)
		}
		r.await("the signal", func() bool { return len(lines()) == i })
		came, err := strconv.ParseInt(lines()[i-1], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, float64(came-began.Nano())/1e6)
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms-to-signal(p50)")
	b.ReportMetric(took[len(took)*99/100], "ms-to-signal(p99)")
	b.ReportMetric(0, "ns/op")
	_ = r.Process.Signal(syscall.SIGTERM)
	r.wait()
}
