//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// serviceApp builds the service of the tests.
func serviceApp(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "../../test/systemd/testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the app: %v\n%s", err, output)
	}
	return path
}

// traffic is a client that asks a server at a steady rate.
type traffic struct {
	*exec.Cmd
	stdin  io.Closer
	stdout bytes.Buffer

	Answered, Failed, Slowest int // questions, and milliseconds
}

func newTraffic(t testing.TB, app, server string, perSecond int) *traffic {
	t.Helper()
	c := &traffic{Cmd: exec.Command(app, "-ask", server, "-rate", strconv.Itoa(perSecond))}
	var err error
	if c.stdin, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	c.Stdout = &c.stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

// end waits for the answers, and wants all.
func (c *traffic) end(t testing.TB) {
	t.Helper()
	_ = c.stdin.Close()
	if err := c.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(c.stdout.String(), "answered %d, failed %d, slowest %d ms", &c.Answered, &c.Failed, &c.Slowest); err != nil {
		t.Fatalf("%q: %v", c.stdout.String(), err)
	}
	if c.Failed > 0 || c.Answered == 0 {
		t.Errorf("want no failure: %s", c.stdout.String())
	}
}

// restartUnderLoad rotates a secret so often, while clients ask for the program's sockets.
func restartUnderLoad(t testing.TB, restarts, perSecond int) (tcp, local *traffic) {
	t.Helper()
	s := newService(t)
	s.put(t, "a", "v0", "0")
	dir := shm(t)
	address, socket, control := "127.0.0.1:"+strconv.Itoa(freePort(t)), filepath.Join(dir, "s"), filepath.Join(dir, "http")
	file := filepath.Join(dir, "kmsrun.yaml")
	declaration := `
env: {A: kms://a}
watch: {interval: 1h, debounce: 0s}
on_change: {min_interval: 0s, max_per_hour: 0}
http: {listen: "unix:` + control + `"}
log: {level: warn}
`
	if err := os.WriteFile(file, []byte(declaration), 0o600); err != nil {
		t.Fatal(err)
	}
	app := serviceApp(t)
	r := start(t, s.environ(), "exec", "-c", file, "--socket", "tcp://"+address, "--socket", "unix:"+socket, "--", app)
	r.awaitOutput("start A=0 ")
	tcp, local = newTraffic(t, app, "tcp!"+address, perSecond/2), newTraffic(t, app, "unix!"+socket, perSecond/2)
	for n := 1; n <= restarts; n++ {
		s.put(t, "a", "v"+strconv.Itoa(n), strconv.Itoa(n))
		if status, body := get(t, control, http.MethodPost, "/-/refresh"); status/100 != 2 {
			t.Fatalf("refresh: got %d %s", status, body)
		}
		r.awaitOutput(fmt.Sprintf("start A=%d ", n))
	}
	tcp.end(t)
	local.end(t)
	_ = r.Process.Signal(syscall.SIGTERM)
	if got := r.wait(); got != 0 {
		t.Errorf("got %d, want 0; stderr:\n%s", got, r.err.String())
	}
	return tcp, local
}

// TestRestartUnderLoad is the short form of BenchmarkRestartUnderLoad.
func TestRestartUnderLoad(t *testing.T) {
	t.Parallel()
	restartUnderLoad(t, 8, 100)
}

// BenchmarkRestartUnderLoad: no connection is refused or reset over 50 restarts.
func BenchmarkRestartUnderLoad(b *testing.B) {
	for b.Loop() {
		tcp, local := restartUnderLoad(b, 50, 200)
		b.ReportMetric(float64(tcp.Answered+local.Answered), "requests")
		b.ReportMetric(float64(tcp.Failed+local.Failed), "refused-or-reset")
		b.ReportMetric(float64(max(tcp.Slowest, local.Slowest)), "ms-slowest")
	}
	b.ReportMetric(0, "ns/op")
}

// notifySocket is a systemd of the test, which reads and does no more: it returns the
// socket's address, and everything that was said so far.
func notifySocket(t *testing.T) (address string, told func() string) {
	t.Helper()
	address = filepath.Join(shm(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var all output
	go func() {
		text, control := make([]byte, 8192), make([]byte, 1024)
		for {
			n, size, _, _, err := conn.ReadMsgUnix(text, control)
			if err != nil {
				return
			}
			parts, _ := unix.ParseSocketControlMessage(control[:size])
			for _, part := range parts {
				files, _ := unix.ParseUnixRights(&part)
				for _, file := range files {
					_ = unix.Close(file)
				}
			}
			_, _ = all.Write(append(text[:n:n], '\n'))
		}
	}()
	return address, all.String
}

// TestSystemdNotify: systemd's own tool as the program, which waits until it was heard.
func TestSystemdNotify(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("systemd-notify")
	need(t, err == nil, "systemd-notify")
	address, told := notifySocket(t)
	r := start(t, []string{"PATH=" + os.Getenv("PATH"), "NOTIFY_SOCKET=" + address}, "exec", "--", "systemd-notify", "--ready", "--status=up and running")
	if got := r.wait(); got != 0 {
		t.Errorf("got %d, want 0; stderr:\n%s", got, r.err.String())
	}
	r.await("all to be told", func() bool { return strings.Contains(told(), "BARRIER=1\n") })
	if got := told(); !strings.Contains(got, "READY=1\nSTATUS=up and running\n") {
		t.Errorf("systemd was told %q", got)
	}
}

// TestSocketActivate: systemd's own tool in front of us.
func TestSocketActivate(t *testing.T) {
	t.Parallel()
	tool, err := exec.LookPath("systemd-socket-activate")
	need(t, err == nil, "systemd-socket-activate")
	app, address := serviceApp(t), "127.0.0.1:"+strconv.Itoa(freePort(t))
	r := prepareStart(t, []string{"PATH=" + os.Getenv("PATH")})
	r.Path, r.Args = tool, []string{tool, "--listen", address, "--fdname", "web", binary(t), "exec", "--", app, "-show", "LISTEN_FDNAMES"}
	r.begin()
	r.await("the tool to listen", func() bool { return strings.Contains(r.err.String(), "Listening on") })
	newTraffic(t, app, "tcp!"+address, 20).end(t)
	if !strings.Contains(r.out.String(), "LISTEN_FDNAMES=web\n") {
		t.Errorf("the program said %q", r.out.String())
	}
	_ = r.Process.Signal(syscall.SIGTERM)
	if got := r.wait(); got != 0 {
		t.Errorf("got %d, want 0; stderr:\n%s", got, r.err.String())
	}
}

// TestCouldNotify: a program that says nothing, but has the code to, is waited for.
func TestCouldNotify(t *testing.T) {
	t.Parallel()
	address, told := notifySocket(t)
	r := start(t, []string{"PATH=" + os.Getenv("PATH"), "NOTIFY_SOCKET=" + address}, "exec", "--", serviceApp(t))
	r.await("the line that tells what is waited for", func() bool { return strings.Contains(r.err.String(), "set child.notify: never") })
	r.await("systemd to be told too", func() bool { return strings.Contains(told(), "STATUS=waiting for the program to say READY=1") })
	if got := told(); strings.Contains(got, "\nREADY=1\n") {
		t.Errorf("systemd was told %q", got)
	}
	_ = r.Process.Signal(syscall.SIGTERM)
	r.wait()
}
