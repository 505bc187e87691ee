package metrics

import (
	"context"
	"crypto/subtle"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/kmsrun/kmsrun/config"
)

func handler(settings config.HTTP, m *Metrics, state State) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	started := func(w http.ResponseWriter, _ *http.Request) {
		if !state.Started() {
			answer(w, http.StatusServiceUnavailable, "not started")
			return
		}
		answer(w, http.StatusOK, "ok")
	}
	mux.HandleFunc("GET /startupz", started)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if state.Stale != nil && state.Stale() {
			answer(w, http.StatusServiceUnavailable, "secrets are stale")
			return
		}
		started(w, r)
	})
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if err := state.Alive(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, "the main loop does not turn")
			return
		}
		answer(w, http.StatusOK, "ok")
	})
	mux.Handle("POST /-/refresh", protect(settings, func(w http.ResponseWriter, _ *http.Request) {
		if !state.Refresh() {
			answer(w, http.StatusConflict, "nothing is watched")
			return
		}
		answer(w, http.StatusAccepted, "polling now")
	}))
	if state.Hold != nil {
		mux.Handle("POST /-/hold", protect(settings, func(w http.ResponseWriter, _ *http.Request) {
			state.Hold(true)
			answer(w, http.StatusOK, "on hold")
		}))
		mux.Handle("POST /-/release", protect(settings, func(w http.ResponseWriter, _ *http.Request) {
			state.Hold(false)
			answer(w, http.StatusOK, "released")
		}))
	}
	if state.Status != nil {
		mux.Handle("GET /status", protect(settings, serveStatus(m.build, state.Status)))
	}
	return limit(settings, mux)
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

// limit caps bodies, and on a loopback listener answers only to loopback names: a
// web page could otherwise reach it under a name of its own that resolves here.
func limit(settings config.HTTP, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequestBody)
		network, _, _ := settings.Address()
		if network == "tcp" && settings.Loopback() && !config.IsLoopback(r.Host) {
			answer(w, http.StatusForbidden, "this listener answers to localhost, 127.0.0.1 and [::1] only")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// protect guards what is more than a probe or a metric: open on the unix socket
// and on loopback; elsewhere, and wherever a token is set, for those who know it;
// and on a listener in the clear beyond loopback not at all, unless insecure.
func protect(settings config.HTTP, next http.HandlerFunc) http.Handler {
	network, _, _ := settings.Address()
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case inTheClear(settings):
			answer(w, http.StatusForbidden, "not served beyond loopback without TLS: set http.tls_cert, or http.insecure")
		case network == "unix", settings.Loopback() && settings.TokenFile == "":
			next(w, r)
		case settings.TokenFile == "":
			answer(w, http.StatusForbidden, "not served beyond loopback without http.token_file")
		case !hasToken(r, settings.TokenFile):
			w.Header().Set("WWW-Authenticate", "Bearer")
			answer(w, http.StatusUnauthorized, "want the token of http.token_file: Authorization: Bearer TOKEN")
		default:
			next(w, r)
		}
	}))
}

// inTheClear tells whether others could read what is said to a listener, and nobody said that
// they may.
func inTheClear(settings config.HTTP) bool {
	return !settings.Loopback() && settings.TLSCert == "" && !settings.Insecure
}

// hasToken reads the file at each request, since tokens rotate. An unreadable or
// empty file lets nobody in.
func hasToken(r *http.Request, file string) bool {
	content, err := os.ReadFile(file)
	want := strings.TrimSpace(string(content))
	scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return err == nil && strings.EqualFold(scheme, "Bearer") && want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}
