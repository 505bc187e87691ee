package exchange

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// strange are answers that are no HTTP, or hardly, with a secret in them.
var strange = []string{
	"s3cr3t\r\n\r\n",
	"HTTP/1.1 s3cr3t\r\n\r\n",
	"HTTP/9.s3cr3t 200 OK\r\n\r\n",
	"HTTP/1.1 200 OK\r\ns3cr3t\r\n\r\n",
	"HTTP/1.1 200 OK\r\n: s3cr3t\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: s3cr3t\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2s3cr3t\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: s3cr3t\r\n\r\n",
	"HTTP/1.1 302 Found\r\nLocation: http://x/%zzs3cr3t\r\nContent-Length: 0\r\n\r\n",
}

func TestFailureQuotesNothing(t *testing.T) {
	t.Parallel()
	for _, answer := range strange {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = conn.Write([]byte(answer))
			_ = conn.Close()
		}))
		_, err := http.Get(server.URL + "/?token=s3cr3t")
		server.Close()
		if err == nil || !strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: got %v, which tests nothing", answer, err)
		} else if text := Failure(err); strings.Contains(text, "s3cr3t") {
			t.Errorf("%q: got %s", answer, text)
		}
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, noTLS := http.Get("https://" + server.Listener.Addr().String())
	for want, err := range map[string]error{
		"it does not speak TLS":       noTLS,
		"lookup x: no such host":      fmt.Errorf("get: %w", &net.DNSError{Err: "s3cr3t", Name: "x", IsNotFound: true}),
		"dial tcp 1.2.3.4:5: why?not": &net.OpError{Op: "dial", Net: "tcp", Source: &net.TCPAddr{}, Addr: &net.TCPAddr{IP: net.IPv4(1, 2, 3, 4), Port: 5}, Err: errors.New("why\tnot")},
		"the exchange broke off":      errors.New("s3cr3t"),
	} {
		if got := Failure(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	t.Parallel()
	if got, want := printable("a\x1b[31m\nb\u202ec"), "a?[31m?b?c"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := printable(strings.Repeat("ü", 1000)); len(got) > maxText {
		t.Errorf("got %d bytes", len(got))
	}
}
