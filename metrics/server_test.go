package metrics

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// program is a running program as the endpoint sees it.
type program struct {
	started, stuck, unwatched atomic.Bool
	refreshed                 atomic.Int64
}

func (p *program) state() State {
	return State{
		Started: p.started.Load,
		Alive: func(ctx context.Context) error {
			if _, ok := ctx.Deadline(); !ok {
				return errors.New("asked without a deadline")
			}
			if p.stuck.Load() {
				return errors.New("stuck")
			}
			return nil
		},
		Refresh: func() bool {
			p.refreshed.Add(1)
			return !p.unwatched.Load()
		},
	}
}

// endpoint is a running server and a client for it.
type endpoint struct {
	*program
	t      *testing.T
	base   string
	client *http.Client
}

func serve(t *testing.T, settings config.HTTP) *endpoint {
	t.Helper()
	p := &program{}
	return serveWith(t, settings, p, p.state(), slog.New(slog.DiscardHandler))
}

func serveWith(t *testing.T, settings config.HTTP, p *program, state State, log *slog.Logger) *endpoint {
	t.Helper()
	e := &endpoint{program: p, t: t}
	server, err := Serve(settings, New("test"), state, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	transport := &http.Transport{DisableKeepAlives: true}
	e.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	switch address := server.listener.Addr().(type) {
	case *net.UnixAddr:
		e.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", address.Name)
		}
	case *net.TCPAddr:
		e.base = "http://" + (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: address.Port}).String()
	}
	if settings.TLSCert != "" {
		e.base = strings.Replace(e.base, "http:", "https:", 1)
		// The tests look at the certificate themselves.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	return e
}

// request makes "METHOD PATH" a request, with headers as "Name: value".
func (e *endpoint) request(what string, headers ...string) *http.Request {
	e.t.Helper()
	method, path, _ := strings.Cut(what, " ")
	r, err := http.NewRequestWithContext(e.t.Context(), method, e.base+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	return r
}

func (e *endpoint) send(r *http.Request) *http.Response {
	e.t.Helper()
	response, err := e.client.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		e.t.Fatal(err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response
}

func (e *endpoint) wantStatus(want int, what string, headers ...string) {
	e.t.Helper()
	if got := e.send(e.request(what, headers...)).StatusCode; got != want {
		e.t.Errorf("%s %q: got %d, want %d", what, headers, got, want)
	}
}

const loopback = "127.0.0.1:0"

func TestProbes(t *testing.T) {
	t.Parallel()
	e := serve(t, config.HTTP{Listen: loopback})
	e.wantStatus(http.StatusServiceUnavailable, "GET /startupz")
	e.wantStatus(http.StatusServiceUnavailable, "GET /readyz")
	e.wantStatus(http.StatusOK, "GET /livez")
	e.wantStatus(http.StatusOK, "GET /metrics")
	e.started.Store(true)
	e.wantStatus(http.StatusOK, "GET /startupz")
	e.wantStatus(http.StatusOK, "GET /readyz")
	e.stuck.Store(true)
	e.wantStatus(http.StatusServiceUnavailable, "GET /livez")
	e.wantStatus(http.StatusOK, "GET /readyz")
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	e := serve(t, config.HTTP{Listen: loopback})
	e.wantStatus(http.StatusAccepted, "POST /-/refresh")
	e.unwatched.Store(true)
	e.wantStatus(http.StatusConflict, "POST /-/refresh")
	if got, want := e.refreshed.Load(), int64(2); got != want {
		t.Errorf("refreshes: got %d, want %d", got, want)
	}
}

// TestWhoMayRefresh: 202 for those who may, and probes and metrics for everybody.
func TestWhoMayRefresh(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token, empty, missing := filepath.Join(dir, "token"), filepath.Join(dir, "empty"), filepath.Join(dir, "missing")
	for file, content := range map[string]string{token: "s3same\n", empty: "\n"} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := certificate(t, dir, 1)
	const right = "Authorization: Bearer s3same"
	for _, test := range []struct {
		name     string
		settings config.HTTP
		headers  []string
		want     int
	}{
		{"loopback", config.HTTP{Listen: loopback}, nil, http.StatusAccepted},
		{"loopback by name", config.HTTP{Listen: "localhost:0"}, nil, http.StatusAccepted},
		{"loopback, token wanted", config.HTTP{Listen: loopback, TokenFile: token}, nil, http.StatusUnauthorized},
		{"loopback, wrong token", config.HTTP{Listen: loopback, TokenFile: token}, []string{"Authorization: Bearer x"}, http.StatusUnauthorized},
		{"loopback, token without its scheme", config.HTTP{Listen: loopback, TokenFile: token}, []string{"Authorization: s3same"}, http.StatusUnauthorized},
		{"loopback, right token", config.HTTP{Listen: loopback, TokenFile: token}, []string{right}, http.StatusAccepted},
		{"loopback, empty file", config.HTTP{Listen: loopback, TokenFile: empty}, []string{"Authorization: Bearer "}, http.StatusUnauthorized},
		{"beyond, in the clear", config.HTTP{Listen: ":0"}, nil, http.StatusForbidden},
		{"beyond, in the clear, right token", config.HTTP{Listen: ":0", TokenFile: token}, []string{right}, http.StatusForbidden},
		{"beyond, insecure without a token file", config.HTTP{Listen: ":0", Insecure: true}, nil, http.StatusForbidden},
		{"beyond, insecure, no token", config.HTTP{Listen: ":0", Insecure: true, TokenFile: token}, nil, http.StatusUnauthorized},
		{"beyond, insecure, right token", config.HTTP{Listen: ":0", Insecure: true, TokenFile: token}, []string{right}, http.StatusAccepted},
		{"beyond, insecure, empty file", config.HTTP{Listen: ":0", Insecure: true, TokenFile: empty}, []string{"Authorization: Bearer "}, http.StatusUnauthorized},
		{"beyond, insecure, missing file", config.HTTP{Listen: ":0", Insecure: true, TokenFile: missing}, []string{"Authorization: Bearer "}, http.StatusUnauthorized},
		{"beyond, TLS without a token file", config.HTTP{Listen: ":0", TLSCert: cert, TLSKey: key}, nil, http.StatusForbidden},
		{"beyond, TLS, no token", config.HTTP{Listen: ":0", TLSCert: cert, TLSKey: key, TokenFile: token}, nil, http.StatusUnauthorized},
		{"beyond, TLS, right token", config.HTTP{Listen: ":0", TLSCert: cert, TLSKey: key, TokenFile: token}, []string{right}, http.StatusAccepted},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, test.settings)
			e.started.Store(true)
			e.wantStatus(test.want, "POST /-/refresh", test.headers...)
			if got, want := e.refreshed.Load() == 1, test.want == http.StatusAccepted; got != want {
				t.Errorf("refreshed: got %v, want %v", got, want)
			}
			for _, open := range []string{"GET /startupz", "GET /readyz", "GET /livez", "GET /metrics"} {
				e.wantStatus(http.StatusOK, open)
			}
		})
	}
}

// TestTokenRotates: the file is read at each request.
func TestTokenRotates(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	e := serve(t, config.HTTP{Listen: loopback, TokenFile: file})
	e.wantStatus(http.StatusUnauthorized, "POST /-/refresh", "Authorization: Bearer new")
	if err := os.WriteFile(file, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.wantStatus(http.StatusAccepted, "POST /-/refresh", "Authorization: Bearer new")
}

func TestHostHeader(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		listen, host string
		want         int
	}{
		{loopback, "localhost", http.StatusOK},
		{loopback, "127.0.0.1:9153", http.StatusOK},
		{loopback, "[::1]:9153", http.StatusOK},
		{loopback, "evil.example", http.StatusForbidden},
		{loopback, "localhost.evil.example:9153", http.StatusForbidden},
		{loopback, "10.0.0.1", http.StatusForbidden},
		{":0", "kmsrun.example:9153", http.StatusOK},
	} {
		t.Run(test.listen+" as "+test.host, func(t *testing.T) {
			t.Parallel()
			e := serve(t, config.HTTP{Listen: test.listen})
			r := e.request("GET /livez")
			r.Host = test.host
			if got := e.send(r).StatusCode; got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestCrossSite(t *testing.T) {
	t.Parallel()
	e := serve(t, config.HTTP{Listen: loopback})
	e.wantStatus(http.StatusForbidden, "POST /-/refresh", "Origin: https://evil.example")
	e.wantStatus(http.StatusForbidden, "POST /-/refresh", "Origin: null")
	e.wantStatus(http.StatusForbidden, "POST /-/refresh", "Sec-Fetch-Site: cross-site")
	e.wantStatus(http.StatusForbidden, "POST /-/refresh", "Sec-Fetch-Site: same-site")
	if got, want := e.refreshed.Load(), int64(0); got != want {
		t.Errorf("refreshes: got %d, want %d", got, want)
	}
	e.wantStatus(http.StatusAccepted, "POST /-/refresh", "Sec-Fetch-Site: same-origin")
}

func TestMethods(t *testing.T) {
	t.Parallel()
	e := serve(t, config.HTTP{Listen: loopback})
	for _, what := range []string{"POST /metrics", "DELETE /livez", "PUT /readyz", "GET /-/refresh"} {
		e.wantStatus(http.StatusMethodNotAllowed, what)
	}
	for _, what := range []string{"GET /", "GET /debug/pprof/", "POST /-/quit"} {
		e.wantStatus(http.StatusNotFound, what)
	}
	if got, want := e.refreshed.Load(), int64(0); got != want {
		t.Errorf("refreshes: got %d, want %d", got, want)
	}
}

func TestLongBody(t *testing.T) {
	t.Parallel()
	e := serve(t, config.HTTP{Listen: loopback})
	r := e.request("POST /-/refresh")
	r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", 2*maxRequestBody)))
	if got, want := e.send(r).StatusCode, http.StatusAccepted; got != want {
		t.Errorf("got %d, want %d", got, want)
	}
	r = e.request("POST /-/refresh")
	r.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", 16<<20)))
	if response, err := e.client.Do(r); err == nil { // or the connection is cut while we still write
		_ = response.Body.Close()
	}
	e.wantStatus(http.StatusOK, "GET /livez")
}

// TestNoEcho: nothing that a request carries comes back.
func TestNoEcho(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(canary), 0o600); err != nil {
		t.Fatal(err)
	}
	headers := []string{
		"Authorization: Bearer x" + canary, "Cookie: " + canary, "User-Agent: " + canary, "X-Canary: " + canary,
		"Accept: text/plain;version=" + canary, "Accept-Encoding: " + canary, "Content-Type: " + canary, "X-Request-Id: " + canary,
		"Sec-Fetch-Site: same-origin",
	}
	for _, settings := range []config.HTTP{{Listen: loopback}, {Listen: loopback, TokenFile: token}, {Listen: ":0"}} {
		e := serve(t, settings)
		for _, what := range []string{
			"GET /metrics", "GET /livez", "GET /readyz", "POST /-/refresh", "GET /-/refresh", "POST /livez", "GET /none", "GET //livez",
		} {
			for _, extra := range []string{"X: x", "Host: " + canary, "Sec-Fetch-Site: " + canary, "Origin: https://" + canary} {
				r := e.request(what, append(headers, extra)...)
				r.Body = io.NopCloser(strings.NewReader(canary))
				if host, ok := strings.CutPrefix(extra, "Host: "); ok {
					r.Host = host
				}
				dump, err := httputil.DumpResponse(e.send(r), true)
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(dump, []byte(canary)) {
					t.Errorf("%s with %q: the answer holds it: %s", what, extra, dump)
				}
			}
		}
	}
}

// certificate writes a self-signed certificate and its key, and returns their files.
func certificate(t *testing.T, dir string, serial int64) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert},
		keyFile:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

func TestCertificateRotates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := certificate(t, dir, 1)
	e := serve(t, config.HTTP{Listen: loopback, TLSCert: cert, TLSKey: key})
	for serial := int64(1); serial <= 2; serial++ {
		certificate(t, dir, serial)
		response := e.send(e.request("GET /livez"))
		if got, want := response.TLS.PeerCertificates[0].SerialNumber.Int64(), serial; got != want {
			t.Errorf("serial number: got %d, want %d", got, want)
		}
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if _, err := e.client.Do(e.request("GET /livez")); err == nil {
		t.Error("without a key: got an answer, want none")
	}
	certificate(t, dir, 3)
	e.wantStatus(http.StatusOK, "GET /livez")
}

func TestServeFaults(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	busy := taken.Addr().String()
	for _, test := range []struct {
		name     string
		settings config.HTTP
		want     string
	}{
		{"no port", config.HTTP{Listen: "localhost"}, `listening on http.listen "localhost": want HOST:PORT, :PORT or unix:/PATH, got "localhost"`},
		{"port taken", config.HTTP{Listen: busy}, `listening on http.listen "` + busy + `": listen tcp ` + busy + `: bind: address already in use`},
		{
			"no certificate",
			config.HTTP{Listen: loopback, TLSCert: "/none/tls.crt", TLSKey: "/none/tls.key"},
			`listening on http.listen "` + loopback + `": open /none/tls.crt: no such file or directory`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := Serve(test.settings, New("test"), State{}, slog.New(slog.DiscardHandler))
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// The tests of the socket are not parallel: listening there sets the umask, which
// is the process's.

func TestUnixSocket(t *testing.T) {
	t.Cleanup(func(old int) func() { return func() { syscall.Umask(old) } }(syscall.Umask(0)))
	path := filepath.Join(t.TempDir(), "kmsrun.sock")
	settings := config.HTTP{Listen: "unix:" + path}
	server, err := Serve(settings, New("test"), State{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode(), os.ModeSocket|0o600; got != want {
		t.Errorf("mode: got %v, want %v", got, want)
	}
	if got, want := syscall.Umask(0), 0; got != want {
		t.Errorf("umask afterwards: got %#o, want %#o", got, want)
	}
	server.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket after Close: got %v, want it gone", err)
	}

	e := serve(t, settings)
	e.started.Store(true)
	e.wantStatus(http.StatusOK, "GET /readyz")
	e.wantStatus(http.StatusAccepted, "POST /-/refresh")
}

func TestUnixSocketInTheWay(t *testing.T) {
	for _, test := range []struct {
		name string
		put  func(t *testing.T, path string)
		want string // the end of the error; empty: replaced
	}{
		{"a stale one", staleSocket, ""},
		{"a live one", liveSocket, "another process listens there"},
		{"a busy one", busySocket, "resource temporarily unavailable"},
		{"a regular file", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "address already in use"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			test.put(t, path)
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			settings := config.HTTP{Listen: "unix:" + path}
			if test.want == "" {
				serve(t, settings).wantStatus(http.StatusOK, "GET /livez")
				return
			}
			_, err = Serve(settings, New("test"), State{}, slog.New(slog.DiscardHandler))
			if err == nil || !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got %v, want it to end with %q", err, test.want)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("what was there: got %v, want it untouched", err)
			}
		})
	}
}

func staleSocket(t *testing.T, path string) {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	_ = listener.Close()
}

func liveSocket(t *testing.T, path string) {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
}

// busySocket has a listener whose queue is full.
func busySocket(t *testing.T, path string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue of the socket is never full")
}
