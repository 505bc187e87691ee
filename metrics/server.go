package metrics

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// State is what the endpoint asks the running program. The funcs are called from
// many goroutines.
type State struct {
	// Started tells whether the first generation is published and the program, if there is
	// one, runs.
	Started func() bool
	// Alive returns nil if the main loop turns, within ctx.
	Alive func(ctx context.Context) error
	// Stale tells whether secrets are so old that the program counts as not ready; nil
	// for never.
	Stale func() bool
	// Refresh asks for a poll now; false when nothing is watched.
	Refresh func() bool
	// Hold puts the run on hold, or releases it.
	Hold func(hold bool)
	// Status tells all that is known of the run; nil where there is nothing to tell.
	Status func() Status
}

// maxRequestBody bounds the body of a request, in bytes; none needs one.
const maxRequestBody = 64 << 10

// Server is a running endpoint.
type Server struct {
	http     *http.Server
	listener net.Listener
}

// Serve listens and serves until Close. The error is that of listening, or an
// unreadable certificate.
func Serve(settings config.HTTP, m *Metrics, state State, log *slog.Logger) (*Server, error) {
	listener, err := listen(settings)
	if err != nil {
		return nil, fmt.Errorf("listening on http.listen %q: %w", settings.Listen, err)
	}
	s := &Server{listener: listener, http: &http.Server{
		Handler:           handler(settings, m, state),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the HTTP endpoint ended", "err", err)
		}
	}()
	log.Info("HTTP endpoint listening", "addr", listener.Addr().String())
	return s, nil
}

// Close stops serving at once, and removes a unix socket.
func (s *Server) Close() {
	_ = s.http.Close()
	_ = s.listener.Close() // the server knows it only once its goroutine runs
}

func listen(settings config.HTTP) (net.Listener, error) {
	network, address, err := settings.Address()
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		return listenUnix(address)
	}
	listener, err := net.Listen(network, address)
	if err != nil || settings.TLSCert == "" {
		return listener, err
	}
	load := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { // at each handshake: the files may rotate
		pair, err := tls.LoadX509KeyPair(settings.TLSCert, settings.TLSKey)
		return &pair, err
	}
	if _, err := load(nil); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: load}), nil
}

// listenUnix makes a socket that only our user may open, from its first moment. A
// socket that a killed predecessor left behind is replaced; a live one is not.
func listenUnix(path string) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() == os.ModeSocket {
		conn, err := net.Dial("unix", path)
		if err == nil {
			_ = conn.Close()
			return nil, errors.New("another process listens there")
		}
		if !errors.Is(err, syscall.ECONNREFUSED) { // a busy one, or another user's: nobody says that it is dead
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}
