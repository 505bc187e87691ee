package kms

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/kmsrun/kmsrun/config"
)

// newTransport makes the one pool of connections that all slots share.
func newTransport(settings config.KMS) (http.RoundTripper, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   settings.Concurrency,
		MaxConnsPerHost:       settings.Concurrency,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: settings.Timeout,
	}
	if scheme, _ := settings.URL(settings.Region); scheme == "http" {
		return t, nil // no roots: loading them costs milliseconds
	}
	pool, err := roots(settings.CAFile)
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, err
}

// roots are the system's CAs, or those built into the binary where the system has
// none (an image FROM scratch), and the CAs of caFile.
func roots(caFile string) (*x509.CertPool, error) {
	pool, err := systemRoots()
	if err != nil || caFile == "" {
		return pool, err
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading kms.ca_file: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading kms.ca_file: %q holds no certificate in PEM", caFile)
	}
	return pool, nil
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
