package metrics

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// asked serves a kmsrun with one secret under these settings, and returns them with the address that it
// got.
func asked(t *testing.T, settings config.HTTP) (*program, config.HTTP) {
	t.Helper()
	p := &program{}
	state := p.state()
	state.Status = func() Status { return Status{Started: true, Secrets: []Secret{{Secret: "a", State: SecretOK}}} }
	server, err := Serve(settings, New("test"), state, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if address, ok := server.listener.Addr().(*net.TCPAddr); ok {
		host, _, _ := net.SplitHostPort(settings.Listen)
		settings.Listen = net.JoinHostPort(host, strconv.Itoa(address.Port))
	}
	return p, settings
}

func asker(t *testing.T, settings config.HTTP) *Asker {
	t.Helper()
	a, err := NewAsker(settings)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAsker asks listeners of every kind as their declaration says.
func TestAsker(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("s3cr3t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := certificate(t, dir, 1)
	for name, settings := range map[string]config.HTTP{
		"loopback":         {Listen: "127.0.0.1:0"},
		"a unix socket":    {Listen: "unix:" + filepath.Join(dir, "s")},
		"a token":          {Listen: "localhost:0", TokenFile: token},
		"TLS for everyone": {Listen: ":0", TLSCert: cert, TLSKey: key, TokenFile: token},
		"insecure":         {Listen: "0.0.0.0:0", Insecure: true, TokenFile: token},
	} {
		t.Run(name, func(t *testing.T) {
			p, settings := asked(t, settings)
			a := asker(t, settings)
			if err := a.Ready(t.Context()); err == nil || err.Error() != "not ready: not started" {
				t.Errorf("before the start: got %v", err)
			}
			p.started.Store(true)
			if err := a.Ready(t.Context()); err != nil {
				t.Errorf("after the start: got %v", err)
			}
			status, text, err := a.Status(t.Context())
			if err != nil || len(status.Secrets) != 1 || !strings.Contains(string(text), `"secret": "a"`) {
				t.Errorf("status: got %+v, %s, %v", status, text, err)
			}
		})
	}
}

// TestAskerIsRefused says why, in words of its own.
func TestAskerIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token, other := write("token", "right"), write("other", "canary-wrong")
	cert, key := certificate(t, t.TempDir(), 1)
	otherCert, otherKey := certificate(t, t.TempDir(), 2)
	for name, c := range map[string]struct {
		serves, asks config.HTTP
		want         string
	}{
		"no token":      {config.HTTP{TokenFile: token}, config.HTTP{}, "it wants a token: name the declaration with -c, for its http.token_file"},
		"another token": {config.HTTP{TokenFile: token}, config.HTTP{TokenFile: other}, `it wants another token than that in http.token_file "` + other + `"`},
		"no token file": {config.HTTP{TokenFile: token}, config.HTTP{TokenFile: "/none"}, "reading http.token_file: open /none: no such file or directory"},
		"the token":     {config.HTTP{TokenFile: token}, config.HTTP{TokenFile: "s3cr3t"}, "http.token_file: want the path of a file that can be read"},
		"in the clear":  {config.HTTP{Listen: ":0"}, config.HTTP{Listen: ":0", TokenFile: other}, "not served beyond loopback without TLS: set http.tls_cert, or http.insecure"},
		"no TLS":        {config.HTTP{TLSCert: cert, TLSKey: key}, config.HTTP{}, "it speaks TLS: name the declaration with -c, for its http.tls_cert"},
		"another certificate": {
			config.HTTP{TLSCert: cert, TLSKey: key},
			config.HTTP{TLSCert: otherCert, TLSKey: otherKey},
			`its certificate is not that of http.tls_cert "` + otherCert + `"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.serves.Listen == "" {
				c.serves.Listen = "127.0.0.1:0"
			}
			_, served := asked(t, c.serves)
			c.asks.Listen = served.Listen
			if _, _, err := asker(t, c.asks).Status(t.Context()); err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestAskerMeetsAStranger: what answers is no kmsrun, nor does anybody see what it says.
func TestAskerMeetsAStranger(t *testing.T) {
	t.Parallel()
	for _, says := range []string{"ok", `{"status": "ok"}`, "<html>\x1b[2J", `{"version": 1}`, ""} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, says) }))
		defer server.Close()
		a := asker(t, config.HTTP{Listen: server.Listener.Addr().String()})
		_, _, err := a.Status(t.Context())
		for what, err := range map[string]error{"status": err, "ready": a.Ready(t.Context())} {
			if err == nil || !strings.HasSuffix(err.Error(), ": what answers there is no kmsrun (status 200)") {
				t.Errorf("%s of %q: got %v", what, says, err)
			}
		}
	}
	noHTTP := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("-ERR s3cr3t\r\n\r\n"))
		_ = conn.Close()
	}))
	defer noHTTP.Close()
	if err := asker(t, config.HTTP{Listen: noHTTP.Listener.Addr().String()}).Ready(t.Context()); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v, want an error that quotes nothing", err)
	}
	loud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "\x1b[2J"+strings.Repeat("x", 1000)+"\nmore")
	}))
	defer loud.Close()
	err := asker(t, config.HTTP{Listen: loud.Listener.Addr().String()}).Ready(t.Context())
	if want := "not ready: ?[2J" + strings.Repeat("x", 196); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// TestTokenIsForTCP: on a unix socket no kmsrun asks for the token, and so whoever listens
// there in its place does not get it.
func TestTokenIsForTCP(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("s3cr3t"), 0o600); err != nil {
		t.Fatal(err)
	}
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(dir, "s")} {
		listener, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 1)
		server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("Authorization") })}
		go func() { _ = server.Serve(listener) }()
		listen, want := listener.Addr().String(), "Bearer s3cr3t"
		if network == "unix" {
			listen, want = "unix:"+listen, ""
		}
		_, _, _ = asker(t, config.HTTP{Listen: listen, TokenFile: token}).Status(t.Context())
		if header := <-got; header != want {
			t.Errorf("%s: got %q, want %q", network, header, want)
		}
		_ = server.Close()
	}
}

// TestAskerIsKeptWaiting no longer than its caller wants to.
func TestAskerIsKeptWaiting(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // and nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := asker(t, config.HTTP{Listen: listener.Addr().String()}).Ready(ctx); err == nil || !strings.HasSuffix(err.Error(), ": no answer in time") {
		t.Errorf("got %v, want that there is no answer in time", err)
	}
}

// TestAskerMeetsNobody at a socket that a kmsrun that was killed left behind, for example.
func TestAskerMeetsNobody(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	staleSocket(t, path)
	err := asker(t, config.HTTP{Listen: "unix:" + path}).Ready(t.Context())
	if want := `asking the kmsrun at "unix:` + path + `": dial unix ` + path + ": connect: connection refused"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
