package kms

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBrokenExchange is not parallel: it counts goroutines.
func TestBrokenExchange(t *testing.T) {
	long := `{"SecretData":"` + canary
	for _, test := range []struct {
		name    string
		timeout time.Duration
		handler func(reached func()) http.HandlerFunc
		detail  string
	}{
		{
			"connection reset mid-body", time.Minute,
			func(func()) http.HandlerFunc { return resetMidBody },
			"", // the kernel decides whether it is a reset or an end
		},
		{
			"hang before the headers", 50 * time.Millisecond,
			func(func()) http.HandlerFunc { return hang("", func() {}) },
			"no answer in time",
		},
		{
			"hang mid-body", 50 * time.Millisecond,
			func(func()) http.HandlerFunc { return hang(long, func() {}) },
			"no answer in time",
		},
		{
			"cancelled before the headers", time.Minute,
			func(cancel func()) http.HandlerFunc { return hang("", cancel) },
			"cancelled",
		},
		{
			"cancelled mid-body", time.Minute,
			func(cancel func()) http.HandlerFunc { return hang(long, cancel) },
			"cancelled",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			leavesNoGoroutine(t, func() {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				server := httptest.NewServer(test.handler(cancel))
				defer server.Close()
				settings := settingsFor(server.URL)
				settings.Timeout = test.timeout
				_, err := newClient(t, settings, withToken()).Get(ctx, current)
				failure(t, err, Unavailable)
				if !strings.Contains(err.Error(), "("+test.detail) {
					t.Errorf("got %q, want it to say %q", err, test.detail)
				}
			})
		})
	}
}

// hang writes a part of an answer, says that it is there, and waits until the
// client is gone.
func hang(part string, reached func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if part != "" {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
		}
		reached()
		<-r.Context().Done()
	}
}

func resetMidBody(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"SecretData\":\""+canary)
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	server.Close()
	_, err := newClient(t, settingsFor(server.URL), withToken()).Get(t.Context(), current)
	failure(t, err, Unavailable)
	if want := "connection refused"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want it to say %q", err, want)
	}
}

func TestCancelledBefore(t *testing.T) {
	t.Parallel()
	server := serve(t, answering(http.StatusOK, goodAnswer))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newClient(t, settingsFor(server.URL), withToken()).Get(ctx, current)
	failure(t, err, Unavailable)
}

func TestNotHTTP(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096)) // or closing would reset the connection before the text is read
			_, _ = io.WriteString(conn, canary+" ready\r\n")
			_ = conn.Close()
		}
	}()
	_, err = newClient(t, settingsFor("http://"+listener.Addr().String()), withToken()).Get(t.Context(), current)
	failure(t, err, Unavailable)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(seeded(t))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of the client that refuses it
	server.StartTLS()
	t.Cleanup(server.Close)

	settings := settingsFor(server.URL)
	_, err := newClient(t, settings, AccessKey(keyID, keySecret)).Get(t.Context(), current)
	failure(t, err, Untrusted)
	if want := "set kms.ca_file to the endpoint's CA"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %q, want the hint %q", err, want)
	}

	settings.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(settings.CAFile, block, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(t, settings, AccessKey(keyID, keySecret)).Get(t.Context(), current); err != nil {
		t.Error(err)
	}

	settings.Endpoint = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) // a name that the certificate has not
	_, err = newClient(t, settings, AccessKey(keyID, keySecret)).Get(t.Context(), current)
	failure(t, err, Untrusted)
}

func TestCAFileFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty, missing := filepath.Join(dir, "empty.pem"), filepath.Join(dir, "missing.pem")
	if err := os.WriteFile(empty, []byte("no PEM\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ file, want string }{
		{empty, `reading kms.ca_file: "` + empty + `" holds no certificate in PEM`},
		{missing, "reading kms.ca_file: open " + missing + ": no such file or directory"},
	} {
		settings := settingsFor("")
		settings.CAFile = test.file
		_, err := New(settings, Fixed(withToken()), "", func(Call) {})
		if err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}

func TestBuiltinRoots(t *testing.T) {
	t.Parallel()
	pool, err := builtinRoots()
	if err != nil {
		t.Fatal(err)
	}
	if pool.Equal(x509.NewCertPool()) {
		t.Error("got an empty pool")
	}
}

// TestClassifyTransport has what loopback can't bring about.
func TestClassifyTransport(t *testing.T) {
	t.Parallel()
	dns := &net.DNSError{IsNotFound: true, Err: "no such host", Name: "kms.nowhere.aliyuncs.com"}
	for _, test := range []struct {
		err    error
		detail string
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Err: dns}, "lookup kms.nowhere.aliyuncs.com: no such host"},
		{os.ErrDeadlineExceeded, "no answer in time"},
		{io.ErrUnexpectedEOF, "the connection was closed before the answer ended"},
		{errors.New("malformed HTTP response " + canary), "the exchange broke off"},
	} {
		err := classify(t.Context(), &url.Error{Op: "Post", URL: "http://x/?Signature=" + canary, Err: test.err}, answer{})
		failure(t, err, Unavailable)
		if got := err.detail; got != test.detail {
			t.Errorf("%T: got %q, want %q", test.err, got, test.detail)
		}
	}
}
