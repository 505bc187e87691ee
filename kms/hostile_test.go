package kms

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

const sessionBody = `{"AccessKeyId":"i%d","AccessKeySecret":"s","SecurityToken":"t","Expiration":"%s"}`

// handing serves sessions with numbered ids that live for life, and counts them.
func handing(t *testing.T, life time.Duration) (url string, count *atomic.Int64) {
	t.Helper()
	count = &atomic.Int64{}
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, sessionBody, count.Add(1), time.Now().Add(life).UTC().Format(time.RFC3339))
	})).URL, count
}

// relay carries connections to an address. Those that were open when it is frozen
// swallow everything from then on.
type relay struct {
	net.Listener
	frozen atomic.Int64 // generations
}

func newRelay(t *testing.T, to string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{Listener: listener}
	t.Cleanup(func() { _ = listener.Close() })
	carry := func(to, from net.Conn, generation int64) {
		defer to.Close()
		for buffer := make([]byte, 32<<10); ; {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if generation == r.frozen.Load() {
				_, _ = to.Write(buffer[:n])
			}
		}
	}
	go func() {
		for {
			near, err := r.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			generation := r.frozen.Load()
			go carry(near, far, generation)
			go carry(far, near, generation)
		}
	}()
	return r
}

// TestDeadConnection: all calls share one HTTP/2 connection, which a NAT may forget.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	server, settings, _ := secureServer(t, 0)
	server.Config.Handler = &recorder{}
	r := newRelay(t, server.Listener.Addr().String())
	settings.Endpoint = "https://" + r.Addr().String()
	settings.Timeout = 2 * time.Second
	c := newClient(t, settings, withToken())
	if _, err := c.Get(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	r.frozen.Add(1)
	var err error
	for range 3 {
		if _, err = c.Get(t.Context(), current); err == nil {
			return
		}
	}
	t.Errorf("still on the dead connection: %v", err)
}

// TestSessionsOutliveTheQueue: a session may end while calls wait for their turn.
func TestSessionsOutliveTheQueue(t *testing.T) {
	t.Parallel()
	uri, _ := handing(t, 4*time.Second)
	var mu sync.Mutex
	seen := map[string]time.Time{}
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		id := r.URL.Query().Get("AccessKeyId")
		if seen[id].IsZero() {
			seen[id] = time.Now()
		}
		if age := time.Since(seen[id]); age > 4*time.Second {
			t.Errorf("session %s is used at an age of %s", id, age)
		}
		_, _ = io.WriteString(w, good("prod/db", r.URL.Query().Get("SecretName")))
	}))
	settings := settingsFor(server.URL)
	settings.RateLimit, settings.Concurrency = 4, 40
	c, err := New(settings, Login{Auth: map[string]config.Auth{config.DefaultAuth: {Type: "uri", URI: uri}}, Lookup: environment()}, "", func(Call) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.closeIdle)
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			if _, err := c.Get(t.Context(), secret.ID{Name: fmt.Sprint("s", i), Stage: secret.StageCurrent}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// TestOneReplacementForAll: where KMS refuses fresh sessions too, not every secret
// asks for one.
func TestOneReplacementForAll(t *testing.T) {
	t.Parallel()
	uri, count := handing(t, time.Hour)
	server := serve(t, answering(http.StatusForbidden, kmsError("InvalidSecurityToken.Expired")))
	c, _ := loginClient(t, server, environment(), map[string]config.Auth{config.DefaultAuth: {Type: "uri", URI: uri}})
	for i := range 20 {
		_, err := c.Get(t.Context(), secret.ID{Name: fmt.Sprint("s", i), Stage: secret.StageCurrent})
		failure(t, err, Expired)
	}
	if got := count.Load(); got != 2 {
		t.Errorf("logins: got %d, want the first and one more", got)
	}
}

// TestFailedReplacementIsTold, as the outage that it is.
func TestFailedReplacementIsTold(t *testing.T) {
	t.Parallel()
	var logins atomic.Int64
	uri := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if logins.Add(1) > 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, sessionBody, 1, "2099-01-01T00:00:00Z")
	}))
	server := serve(t, answering(http.StatusForbidden, kmsError("InvalidSecurityToken.Expired")))
	c, _ := loginClient(t, server, environment(), map[string]config.Auth{config.DefaultAuth: {Type: "uri", URI: uri.URL}})
	_, err := c.Get(t.Context(), current)
	failure(t, err, Unavailable)
	if want := "asking the credentials URI: unavailable"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %s, want %s in it", err, want)
	}
}

// TestHungLoginIsTold by its name, while it hangs and at the end.
func TestHungLoginIsTold(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1)
	uri := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	c, _ := loginClient(t, serve(t, answering(http.StatusOK, goodAnswer)), environment(), map[string]config.Auth{config.DefaultAuth: {Type: "uri", URI: uri.URL}})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := c.GetPatiently(ctx, ctx, current)
		failed <- err
	}()
	<-asked
	if got, want := fmt.Sprint(c.WaitsFor()), "no answer yet to the login of auth profile default"; got != want {
		t.Errorf("meanwhile: got %s, want %s", got, want)
	}
	cancel()
	err := <-failed
	failure(t, err, Unavailable)
	if want := "logging in as auth profile default: asking the credentials URI"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %s, want %s in it", err, want)
	}
}

// TestChainStopsAtARole that is there, whatever is wrong with it.
func TestChainStopsAtARole(t *testing.T) {
	t.Parallel()
	for name, role := range map[string]http.HandlerFunc{
		"ended": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, sessionBody, 1, "2020-01-01T00:00:00Z")
		},
		"failed":  func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"Code":"Failed"}`) },
		"refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"reset":   func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			metadata := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case strings.HasSuffix(r.URL.Path, "token"), strings.HasSuffix(r.URL.Path, "/"):
					_, _ = io.WriteString(w, "word")
				default:
					role(w, r)
				}
			}))
			c, _ := loginClient(t, serve(t, answering(http.StatusOK, goodAnswer)), environment(),
				map[string]config.Auth{config.DefaultAuth: {Type: "chain", MetadataEndpoint: metadata.URL}})
			_, err := c.Get(t.Context(), current)
			if want := "asking the metadata of the ECS instance"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s in it", err, want)
			}
		})
	}
}

// TestProfilesAreTheirOwn: nothing of another profile, nor of another time, is taken.
func TestProfilesAreTheirOwn(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	server := serve(t, r)
	cli := write(t, "config.json", `{"current":"a","profiles":[{"name":"a","mode":"AK","access_key_id":"new","access_key_secret":"x","sts_token":"stale"}]}`)
	c, _ := loginClient(t, server, environment("ALIBABA_CLOUD_CONFIG_FILE="+cli), map[string]config.Auth{config.DefaultAuth: {Type: "profile"}})
	if _, err := c.Get(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	if q := r.queries[0]; q.Has("SecurityToken") {
		t.Errorf("an old token is sent with the key: %v", q["SecurityToken"])
	}
	file := write(t, "credentials", "[prod]\ntype=access_key\naccess_key_id=PROD\naccess_key_secret=x\n[prod.audit]\ntype=access_key\n")
	c, _ = loginClient(t, server, environment("ALIBABA_CLOUD_CREDENTIALS_FILE="+file), map[string]config.Auth{config.DefaultAuth: {Type: "profile", Profile: "prod.audit"}})
	_, err := c.Get(t.Context(), current)
	failure(t, err, NoCredentials)
}

func TestAnotherVersion(t *testing.T) {
	t.Parallel()
	server := serve(t, answering(http.StatusOK, goodAnswer))
	for _, id := range []secret.ID{{Name: "prod/db", Version: "v77"}, {Name: "prod/db", Stage: "ACSPrevious"}} {
		_, err := newClient(t, settingsFor(server.URL), withToken()).Get(t.Context(), id)
		failure(t, err, Invalid)
	}
	managed := serve(t, answering(http.StatusOK, good(`"VersionId"`, `"SecretType":"Rds","VersionId"`))) // which have no say
	if _, err := newClient(t, settingsFor(managed.URL), withToken()).Get(t.Context(), secret.ID{Name: "prod/db", Version: "v77"}); err != nil {
		t.Error(err)
	}
}

// TestKeepRespectsRefusals: nobody asks again before the time that the answer wants.
func TestKeepRespectsRefusals(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	b := newBridge(func(context.Context) (Credentials, *Error) {
		if asked.Add(1) > 1 {
			return Credentials{}, &Error{Kind: Throttled, wait: time.Hour}
		}
		c := stsToken("i", "s", "t")
		c.expires = time.Now().Add(time.Second)
		return c, nil
	}, func(Credentials) {})
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if _, err := b.get(ctx); err != nil {
		t.Fatal(err)
	}
	b.keep(ctx)
	if got := asked.Load(); got != 2 {
		t.Errorf("logins: got %d, want 2", got)
	}
}

// TestEchoedKey: what answers with our own secret for a code must not make us print it.
func TestEchoedKey(t *testing.T) {
	t.Parallel()
	keys := AccessKey(keyID, "SecretOfLetters")
	server := serve(t, answering(http.StatusForbidden, `{"Code":"SecretOfLetters","RequestId":"SecretOfLetters"}`))
	_, err := newClient(t, settingsFor(server.URL), keys).Get(t.Context(), current)
	failure(t, err, Invalid)
	if strings.Contains(err.Error(), "SecretOfLetters") {
		t.Error(err)
	}
	server = serve(t, answering(http.StatusOK, good("R-1", "SecretOfLetters")))
	_, err = newClient(t, settingsFor(server.URL), keys).Get(t.Context(), secret.ID{Name: "other", Stage: secret.StageCurrent})
	failure(t, err, Invalid)
	if strings.Contains(err.Error(), "SecretOfLetters") {
		t.Error(err)
	}
}

// TestCauses: a port is another each time, and a profile is another cause.
func TestCauses(t *testing.T) {
	t.Parallel()
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}
	}))
	c := newClient(t, settingsFor(server.URL), withToken())
	causes := map[string]bool{}
	for _, id := range []secret.ID{current, {Name: "other", Stage: secret.StageCurrent}} {
		_, err := c.Get(t.Context(), id)
		causes[err.(*Error).Cause()] = true //nolint:errorlint // Get promises it
	}
	if len(causes) != 1 {
		t.Errorf("got %v, want one", causes)
	}
	a, b := &Error{Kind: BadCredentials}, &Error{Kind: BadCredentials, ID: secret.ID{Auth: "audit"}}
	if a.Cause() == b.Cause() {
		t.Error("two profiles have one cause")
	}
}

// TestCausesOfOddAnswers: what no KMS has said hits every secret alike, and is one cause;
// what KMS says of one secret is that secret's.
func TestCausesOfOddAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		shared bool
	}{
		"a proxy's page":             {200, "<html>" + canary + "</html>", true},
		"a proxy's refusal":          {403, "<html>" + canary + "</html>", true},
		"an empty object":            {200, "{}", true},
		"an error with status 200":   {200, kmsError("Throttling"), false},
		"an answer for another":      {200, good("prod/db", "prod/other"), false},
		"a parameter that KMS minds": {400, kmsError("InvalidParameter"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, settingsFor(serve(t, answering(test.status, test.body)).URL), withToken())
			causes := map[string]bool{}
			for _, id := range []secret.ID{current, {Name: "other", Stage: secret.StageCurrent}} {
				_, err := c.Get(t.Context(), id)
				failure(t, err, Invalid)
				causes[err.(*Error).Cause()] = true //nolint:errorlint // Get promises it
			}
			if len(causes) != 1 || causes[""] == test.shared {
				t.Errorf("got causes %v, want a shared one: %t", causes, test.shared)
			}
		})
	}
}

func TestProxyFaults(t *testing.T) {
	t.Parallel()
	for value, good := range map[string]bool{"": true, "proxy:3128": true, "http://u:p@proxy": true, "http://pa%ss": false, "%zz": false} {
		err := checkProxies(func(name string) string { return map[string]string{"HTTPS_PROXY": value}[name] })
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "pa%") {
			t.Errorf("%q: got %v", value, err)
		}
	}
	e := kindOfFailure(t.Context(), fmt.Errorf("connecting: %w", &proxyError{http.StatusProxyAuthRequired}), answer{})
	if want := "the proxy answered with status 407"; e.Outage() || e.detail != want {
		t.Errorf("got %v, want %s", e, want)
	}
}
