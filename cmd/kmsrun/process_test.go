package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/emulator"
)

// built is the binary as users get it from make build: static, and without the test's
// packages; with KMSRUN_TEST_RACE one that detects races. inexact is as go install
// builds it.
var (
	built = sync.OnceValues(func() (string, error) {
		flags := []string{"-tags", "kmsrun_exact", "-ldflags", "-s -w -checklinkname=0"}
		if os.Getenv("KMSRUN_TEST_RACE") != "" {
			return buildBinary("1", append(flags, "-race")...)
		}
		return buildBinary("0", flags...)
	})
	inexact = sync.OnceValues(func() (string, error) { return buildBinary("0") })
)

// buildDir is where this run of the tests builds; TestMain removes it.
func buildDir() string {
	return filepath.Join(os.TempDir(), "kmsrun-built-"+strconv.Itoa(os.Getpid()))
}

func buildBinary(cgo string, flags ...string) (string, error) {
	if err := os.MkdirAll(buildDir(), 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(buildDir(), "")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kmsrun")
	cmd := exec.Command("go", slices.Concat([]string{"build", "-trimpath", "-o", path}, flags, []string{"."})...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	output, err := cmd.CombinedOutput()
	if err != nil {
		return "", &os.PathError{Op: "building", Path: string(output), Err: err}
	}
	return path, nil
}

func binary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// need skips a test for want of a tool; on CI, where nothing may be skipped, it fails.
func need(t testing.TB, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no %s, and CI skips nothing", what)
	}
	t.Skipf("SKIPPED: no %s", what)
}

// service is an emulator that can be stopped, and started again at its address.
type service struct {
	*emulator.Emulator
	address string
	server  *httptest.Server
}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{Emulator: emulator.New(emulator.Config{AccessKeySecret: canary("access-key-secret")})}
	s.start(t, "127.0.0.1:0")
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *service) start(t testing.TB, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	s.server = httptest.NewUnstartedServer(s)
	_ = s.server.Listener.Close()
	s.server.Listener = listener
	s.server.Start()
}

// stop drops every connection, and refuses new ones.
func (s *service) stop() {
	s.server.CloseClientConnections()
	s.server.Close()
}

func (s *service) put(t testing.TB, name, version, value string) {
	t.Helper()
	if err := s.Put(name, version, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

func (s *service) remove(t testing.TB, name string) {
	t.Helper()
	if err := s.Delete(name); err != nil {
		t.Fatal(err)
	}
}

// environ is what a kmsrun needs to talk to the service.
func (s *service) environ(extra ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"),
		"KMSRUN_ENDPOINT=http://" + s.address,
		"ALIBABA_CLOUD_ACCESS_KEY_ID=emulator",
		"ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + canary("access-key-secret"),
		"ALIBABA_CLOUD_ECS_METADATA_DISABLED=true",
	}, extra...)
}

// canary is a secret value that must appear nowhere.
func canary(name string) string { return "canary-" + name + "-7f3a9c51" }

// running is a kmsrun in the background.
type running struct {
	*exec.Cmd
	t        testing.TB
	out, err output
	ended    chan struct{}
}

// output collects what a process prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs the built binary.
func start(t testing.TB, environ []string, args ...string) *running {
	t.Helper()
	r := prepareStart(t, environ, args...)
	r.begin()
	return r
}

func prepareStart(t testing.TB, environ []string, args ...string) *running {
	t.Helper()
	r := &running{t: t, Cmd: exec.Command(binary(t), args...), ended: make(chan struct{})}
	r.Env = environ
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that no program outlives a failed test
	r.WaitDelay = time.Second
	r.Stdout, r.Stderr = &r.out, &r.err
	return r
}

func (r *running) begin() {
	r.t.Helper()
	if err := r.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		_ = r.Wait() // the status is in ProcessState
		close(r.ended)
	}()
	r.t.Cleanup(func() {
		_ = syscall.Kill(-r.Process.Pid, syscall.SIGKILL) // all ended already, if all went well
		<-r.ended
	})
}

// wait waits for the end and returns the exit status.
func (r *running) wait() int {
	r.t.Helper()
	select {
	case <-r.ended:
		return r.ProcessState.ExitCode()
	case <-time.After(patience):
		r.t.Fatalf("kmsrun did not end; stderr:\n%s", r.err.String())
		return 0
	}
}

// await polls a condition to a deadline.
func (r *running) await(what string, condition func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain for %s; stderr:\n%s\nstdout:\n%s", what, r.err.String(), r.out.String())
		}
	}
}

func (r *running) awaitOutput(text string) {
	r.t.Helper()
	r.await("output "+text, func() bool { return strings.Contains(r.out.String(), text) })
}

// get asks kmsrun's endpoint on a unix socket.
func get(t testing.TB, socket, method, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}
