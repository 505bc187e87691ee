package kms

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/emulator"
	"github.com/kmsrun/kmsrun/secret"
)

// TestEmulatorFaults has every fault of the emulator: the right kind, and no text
// that leaks.
func TestEmulatorFaults(t *testing.T) {
	t.Parallel()
	kinds := map[string]Kind{
		"throttle": Throttled, "throttle-user": Throttled, "throttle-api": Throttled,
		"unavailable": Unavailable, "internal": Unavailable,
		"denied": Denied, "not-found": NotFound, "expired-token": Expired, "clock-skew": Clock,
		"html": Invalid, "redirect": Invalid, "no-content": Invalid, "empty": Invalid,
		"oversize": Invalid, "numeric-code": Invalid,
		"hang": Unavailable, "reset": Unavailable, "truncate": Invalid,
		"latency": "", "content-type": "",
	}
	_, known, _ := strings.Cut(fmt.Sprint(seeded(t).Fault(emulator.Fault{Kind: "none"})), "known are ")
	for kind := range strings.SplitSeq(known, ", ") {
		if _, here := kinds[kind]; !here {
			t.Errorf("the emulator's %q is not among the faults here", kind)
		}
	}
	for kind, want := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			e := seeded(t)
			fault := emulator.Fault{Action: "GetSecretValue", Kind: kind}
			if kind == "latency" {
				fault.Duration = emulator.Duration(10 * time.Millisecond)
			}
			if err := e.Fault(fault); err != nil {
				t.Fatal(err)
			}
			settings := settingsFor(serve(t, e).URL)
			if kind == "hang" {
				settings.Timeout = 100 * time.Millisecond
			}
			_, err := newClient(t, settings, AccessKey(keyID, keySecret)).Get(t.Context(), current)
			if want != "" {
				failure(t, err, want)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMany runs 64 goroutines with sessions of a second, renewals and faults going on.
func TestMany(t *testing.T) {
	t.Parallel()
	e, server := cloud(t, 2*time.Second)
	for _, text := range []string{"kind=throttle,rate=0.05,seed=1", "kind=reset,action=GetSecretValue,rate=0.05,seed=2", "kind=expired-token,action=GetSecretValue,rate=0.05,seed=3"} {
		fault, err := emulator.ParseFault(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Fault(fault); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := loginClient(t, server, environment(appKey...), map[string]config.Auth{
		config.DefaultAuth: {Type: "assume_role", RoleARN: readerRole, Source: "key", STSEndpoint: server.URL},
		"instance":         {Type: "ecs_role", MetadataEndpoint: server.URL},
		"key":              {Type: "access_key"},
	})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { c.Keep(ctx) })
	var good atomic.Int64
	for worker := range 64 {
		group.Go(func() {
			id := secret.ID{Name: "prod/db", Stage: secret.StageCurrent, Auth: []string{"", "instance"}[worker%2]}
			for ctx.Err() == nil {
				if _, err := c.Poll(ctx, id); err == nil {
					good.Add(1)
				} else if e, ok := errors.AsType[*Error](err); !ok || !e.Outage() && e.Kind != Expired && ctx.Err() == nil {
					t.Error(err)
				}
				if worker%8 == 0 { // others come and go
					short, stop := context.WithTimeout(ctx, time.Duration(rand.IntN(3000))*time.Microsecond)
					_, _ = c.Get(short, id)
					stop()
				}
			}
		})
	}
	group.Wait()
	if good.Load() == 0 {
		t.Error("nothing was read")
	}
}

// secureServer is a TLS server that answers for any secret, and counts connections.
func secureServer(t testing.TB, delay time.Duration) (*httptest.Server, config.KMS, *atomic.Int64) {
	t.Helper()
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay)
		_, _ = io.WriteString(w, good(`"prod/db"`, fmt.Sprintf("%q", r.URL.Query().Get("SecretName"))))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	settings := settingsFor(server.URL)
	settings.Timeout = time.Minute
	settings.CAFile = write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	return server, settings, &opened
}

// fetchAll reads secrets with as many workers as there may be connections.
func fetchAll(t testing.TB, c *Client, count int) {
	t.Helper()
	turns := make(chan struct{}, c.settings.Concurrency)
	var group sync.WaitGroup
	for i := range count {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			if _, err := c.Get(t.Context(), secret.ID{Name: fmt.Sprint("s", i), Stage: secret.StageCurrent}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestConnectionsOverTLS: a thousand who come at once, with and without HTTP/2, share as
// many connections as there may be.
func TestConnectionsOverTLS(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"HTTP/2.0", "HTTP/1.1"} {
		t.Run(strings.ReplaceAll(protocol, "/", " "), func(t *testing.T) {
			t.Parallel()
			server, settings, opened := secureServer(t, time.Millisecond)
			if protocol == "HTTP/1.1" {
				server.TLS.NextProtos = nil
			}
			settings.Concurrency = 3
			c := newClient(t, settings, AccessKey(keyID, keySecret))
			var group sync.WaitGroup
			for i := range 1000 {
				group.Go(func() {
					if _, err := c.Get(t.Context(), secret.ID{Name: fmt.Sprint("s", i), Stage: secret.StageCurrent}); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if got, most := opened.Load(), int64(settings.Concurrency); got > most {
				t.Errorf("connections: got %d, want at most %d", got, most)
			}
		})
	}
}

// TestCancelAnyMoment is not parallel: it counts goroutines.
func TestCancelAnyMoment(t *testing.T) {
	slowly := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, part := range strings.SplitAfter(goodAnswer, ",") {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
	})
	plain := serve(t, slowly)
	cancelAnyMoment(t, plain, settingsFor(plain.URL))
	secure, settings, _ := secureServer(t, 0) // HTTP/2: all calls on one connection, which each leaves as it was
	secure.Config.Handler = slowly
	cancelAnyMoment(t, secure, settings)
}

func cancelAnyMoment(t *testing.T, server *httptest.Server, settings config.KMS) {
	t.Helper()
	leavesNoGoroutine(t, func() {
		c, err := New(settings, Fixed(withToken()), "", func(Call) {})
		if err != nil {
			t.Fatal(err)
		}
		good := 0
		for i := range 200 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*60*time.Microsecond)
			began := time.Now()
			_, err := c.Get(ctx, current)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("cancelled after %d x 60 µs: it took %s", i, took)
			}
			if err != nil {
				failure(t, err, Unavailable)
			} else {
				good++
			}
			cancel()
		}
		t.Logf("%s: %d of 200 came through", server.URL, good)
		server.CloseClientConnections()
		c.closeIdle()
	})
}

// TestOneFlight: many who want the same thing make one call.
func TestOneFlight(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	release := make(chan struct{})
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		<-release
		_, _ = io.WriteString(w, goodAnswer)
	}))
	c := newClient(t, settingsFor(server.URL), withToken())
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := c.Get(t.Context(), current); err != nil {
				t.Error(err)
			}
		})
	}
	waiting := func() int {
		c.flights.mu.Lock()
		defer c.flights.mu.Unlock()
		if f := c.flights.under[current]; f != nil {
			return f.waiters
		}
		return 0
	}
	for waiting() < 20 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	group.Wait()
	if got := calls.Load(); got != 1 {
		t.Errorf("calls: got %d, want 1", got)
	}
}
