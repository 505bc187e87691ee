package metrics

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/exchange"
)

// Asker asks the endpoint of a running kmsrun.
type Asker struct {
	settings config.HTTP
	client   http.Client
	scheme   string
	local    bool // on a unix socket, where no kmsrun wants a token
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 16 << 20

// NewAsker makes an Asker for the endpoint that these settings make a kmsrun serve. No
// proxy is asked.
func NewAsker(settings config.HTTP) (*Asker, error) {
	network, address, err := settings.Address()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address) // a port alone is this machine's
	}}
	a := &Asker{settings: settings, scheme: "http", local: network == "unix"}
	if settings.TLSCert != "" {
		a.scheme, transport.TLSClientConfig = "https", &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, //nolint:gosec // it need not be for the name of this machine, and must be the one of the declaration
			VerifyConnection:   a.isDeclared,
		}
	}
	a.client = http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return a, nil
}

// isDeclared wants the certificate of http.tls_cert, as its file is now.
func (a *Asker) isDeclared(state tls.ConnectionState) error {
	pair, err := tls.LoadX509KeyPair(a.settings.TLSCert, a.settings.TLSKey)
	if err != nil {
		return &undeclared{err.Error()}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil || !leaf.Equal(state.PeerCertificates[0]) {
		return &undeclared{fmt.Sprintf("its certificate is not that of http.tls_cert %q", a.settings.TLSCert)}
	}
	return nil
}

// undeclared is a certificate that is not the declared one.
type undeclared struct{ why string }

func (e *undeclared) Error() string { return e.why }

// Ready returns nil if the kmsrun is ready, or what keeps it from that.
func (a *Asker) Ready(ctx context.Context) error {
	status, text, err := a.get(ctx, "/readyz")
	switch {
	case err != nil:
		return err
	case status == http.StatusOK && string(text) == "ok\n":
		return nil
	case status == http.StatusServiceUnavailable:
		return fmt.Errorf("not ready: %s", line(text))
	default:
		return a.stranger(status, text)
	}
}

// Status is what GET /status tells, and its text.
func (a *Asker) Status(ctx context.Context) (Status, []byte, error) {
	var s Status
	status, text, err := a.get(ctx, "/status")
	switch {
	case err != nil:
		return s, nil, err
	case status == http.StatusUnauthorized && a.settings.TokenFile == "":
		return s, nil, a.problem("it wants a token: name the declaration with -c, for its http.token_file")
	case status == http.StatusUnauthorized:
		return s, nil, a.problem(fmt.Sprintf("it wants another token than that in http.token_file %q", a.settings.TokenFile))
	case status == http.StatusForbidden:
		return s, nil, a.problem(line(text))
	case status != http.StatusOK || json.Unmarshal(text, &s) != nil || s.Version == "":
		return s, nil, a.stranger(status, text)
	}
	return s, text, nil
}

func (a *Asker) get(ctx context.Context, path string) (status int, text []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.scheme+"://localhost"+path, nil)
	if err != nil {
		return 0, nil, err
	}
	if file := a.settings.TokenFile; file != "" && path != "/readyz" && !a.local && !inTheClear(a.settings) {
		token, err := os.ReadFile(file)
		if err != nil && !filepath.IsAbs(file) {
			return 0, nil, errors.New("http.token_file: want the path of a file that can be read") // not quoted: it may be the token
		}
		if err != nil {
			return 0, nil, fmt.Errorf("reading http.token_file: %w", err)
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	response, err := a.client.Do(request)
	if err == nil {
		defer response.Body.Close()
		text, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return 0, nil, a.problem("no answer in time")
	}
	if own, ok := errors.AsType[*undeclared](err); ok {
		return 0, nil, a.problem(own.why)
	}
	if err != nil {
		return 0, nil, a.problem(exchange.Failure(err))
	}
	return response.StatusCode, text, nil
}

func (a *Asker) problem(text string) error {
	return fmt.Errorf("asking the kmsrun at %q: %s", a.settings.Listen, text)
}

// stranger is the error for an answer that no kmsrun gives.
func (a *Asker) stranger(status int, text []byte) error {
	if a.scheme == "http" && strings.Contains(string(text), "HTTP request to an HTTPS server") {
		return a.problem("it speaks TLS: name the declaration with -c, for its http.tls_cert")
	}
	return a.problem(fmt.Sprintf("what answers there is no kmsrun (status %d)", status))
}

// line is the first line of an answer, as far as it can be shown.
func line(text []byte) string {
	first, _, _ := strings.Cut(string(text), "\n")
	return Printable(first[:min(len(first), 200)])
}

// Printable is text that moves no cursor and rings no bell.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
