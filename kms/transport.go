package kms

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/kmsrun/kmsrun/config"
)

// pool is the one pool of connections that everything shares. It is two transports
// because the CAs are loaded at the first https request, if there is one: they cost
// milliseconds, and net/http looks at a transport's TLS settings just once.
type pool struct {
	plain  *http.Transport
	secure func() (*http.Transport, error)
}

func newPool(settings config.KMS) (*pool, error) {
	if err := checkProxies(os.Getenv); err != nil {
		return nil, err
	}
	if settings.CAFile != "" { // a bad file is told at the start
		if err := appendCA(x509.NewCertPool(), settings.CAFile); err != nil {
			return nil, err
		}
	}
	p := &pool{plain: newTransport(settings)}
	p.secure = sync.OnceValues(func() (*http.Transport, error) {
		t := newTransport(settings)
		pool, err := roots(settings.CAFile)
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		return t, err
	})
	return p, nil
}

func newTransport(settings config.KMS) *http.Transport {
	return &http.Transport{
		Proxy:                 proxyFor,
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   settings.Concurrency,
		MaxConnsPerHost:       settings.Concurrency,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: settings.Timeout,
		// A connection that died without a word, as behind a NAT, is left within one call's
		// time: all polls share it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: settings.Timeout / 4, PingTimeout: settings.Timeout / 4},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
			if response.StatusCode != http.StatusOK {
				return &proxyError{response.StatusCode}
			}
			return nil
		},
	}
}

// proxyError is a proxy's refusal to connect us.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy answered with status %d", e.status)
}

// proxyFor is what the usual variables say, but for the metadata of an instance and
// what else is next door: a proxy would get the credentials of its own instance, or
// see ours.
func proxyFor(r *http.Request) (*url.URL, error) {
	if config.NextDoor(r.URL.Hostname()) {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// checkProxies tells of a proxy variable that nobody could follow: net/http would
// go without, past a proxy that has to be.
func checkProxies(lookup func(string) string) error {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		value := lookup(name)
		if value == "" {
			continue
		}
		u, err := url.Parse(value)
		if err != nil || u.Scheme == "" || u.Host == "" { // as net/http has it: HOST:PORT will do
			u, err = url.Parse("http://" + value)
		}
		if err != nil || u.Host == "" {
			return fmt.Errorf("%s: want http://HOST:PORT", name) // not quoted: it may hold a password
		}
	}
	return nil
}

// RoundTrip implements http.RoundTripper.
func (p *pool) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" {
		return p.plain.RoundTrip(r)
	}
	t, err := p.secure()
	if err != nil {
		return nil, err
	}
	return t.RoundTrip(r)
}

// roots are the system's CAs, or those built into the binary where the system has
// none (an image FROM scratch), and the CAs of caFile.
func roots(caFile string) (*x509.CertPool, error) {
	pool, err := systemRoots()
	if err != nil || caFile == "" {
		return pool, err
	}
	return pool, appendCA(pool, caFile)
}

func appendCA(pool *x509.CertPool, caFile string) error {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("reading kms.ca_file: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("reading kms.ca_file: %q holds no certificate in PEM", caFile)
	}
	return nil
}

// systemRoots reads one bundle file where it can: x509.SystemCertPool reads every
// file of /etc/ssl/certs besides, which costs three times as much.
func systemRoots() (*x509.CertPool, error) {
	if os.Getenv("SSL_CERT_FILE") != "" || os.Getenv("SSL_CERT_DIR") != "" {
		return x509.SystemCertPool()
	}
	for _, path := range []string{
		"/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Gentoo
		"/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL, Alibaba Cloud Linux
		"/etc/ssl/ca-bundle.pem",             // openSUSE
		"/etc/ssl/cert.pem",                  // Alpine, macOS
	} {
		pem, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if pool := x509.NewCertPool(); pool.AppendCertsFromPEM(pem) {
			return pool, nil
		}
	}
	return builtinRoots()
}

func builtinRoots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			return nil, errors.New("reading the built-in CA certificates: one is malformed")
		}
		if root.Constraint == nil {
			pool.AddCert(cert)
			continue
		}
		pool.AddCertWithConstraint(cert, root.Constraint)
	}
	return pool, nil
}
