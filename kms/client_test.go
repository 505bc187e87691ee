package kms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/emulator"
	"github.com/kmsrun/kmsrun/secret"
)

// What no text of an error may hold.
const (
	canary      = "c4n4ry"
	keyID       = "LTAIkeyid"
	keySecret   = "k3ys3cr3t"
	tokenCanary = "st5t0k3n"
)

var current = secret.ID{Name: "prod/db", Stage: secret.StageCurrent}

func settingsFor(endpoint string) config.KMS {
	settings := config.Default().KMS
	settings.Endpoint, settings.Region = endpoint, "cn-hangzhou"
	settings.RateLimit = 1e6
	return settings
}

// withToken are credentials all of whose parts can be found in a leak.
func withToken() Credentials {
	c := AccessKey(keyID, keySecret)
	c.token = func() string { return tokenCanary }
	return c
}

func newClient(t testing.TB, settings config.KMS, credentials Credentials) *Client {
	t.Helper()
	c, err := New(settings, Fixed(credentials), "kmsrun/test", func(Call) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.closeIdle)
	return c
}

func serve(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// seeded is an emulator with two versions of prod/db.
func seeded(t *testing.T) *emulator.Emulator {
	t.Helper()
	e := emulator.New(emulator.Config{AccessKeyID: keyID, AccessKeySecret: keySecret})
	for _, version := range []string{"v1", "v2"} {
		if err := e.Put("prod/db", version, []byte(canary+"-"+version)); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// failure wants err to be an *Error of a kind, with a text that leaks nothing.
func failure(t *testing.T, err error, want Kind) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got error %T, want *Error", err)
	}
	if got := e.Kind; got != want {
		t.Errorf("kind: got %q, want %q (%v)", got, want, err)
	}
	if got, want := e.Outage(), want == Unavailable || want == Throttled; got != want {
		t.Errorf("outage: got %v, want %v (%v)", got, want, err)
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprintf("%+v", *e)} {
		for _, leak := range []string{canary, keyID, keySecret, tokenCanary, "Signature=", "http://"} {
			if strings.Contains(text, leak) {
				t.Errorf("the error holds %q: %s", leak, text)
			}
		}
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	server := serve(t, seeded(t))
	c := newClient(t, settingsFor(server.URL), AccessKey(keyID, keySecret))
	arn := secret.ID{Region: "cn-hangzhou", Account: "1000000000000001", Name: "prod/db", Stage: secret.StageCurrent}
	for _, test := range []struct {
		name, version string
		id            secret.ID
		stage         string
	}{
		{"by stage", "v2", current, "ACSCurrent"},
		{"by another stage", "v1", secret.ID{Name: "prod/db", Stage: "ACSPrevious"}, "ACSPrevious"},
		{"by version", "v1", secret.ID{Name: "prod/db", Version: "v1"}, "ACSPrevious"},
		{"by ARN", "v2", arn, "ACSCurrent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			value, err := c.Get(t.Context(), test.id)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(value.Bytes()), canary+"-"+test.version; got != want {
				t.Errorf("value: got %q, want %q", got, want)
			}
			if got, want := value.Version, test.version; got != want {
				t.Errorf("version: got %q, want %q", got, want)
			}
			if got, want := strings.Join(value.Stages, " "), test.stage; got != want {
				t.Errorf("stages: got %q, want %q", got, want)
			}
			if value.Created.IsZero() {
				t.Error("created: got the zero time")
			}
		})
	}
}

func TestGetRefused(t *testing.T) {
	t.Parallel()
	server := serve(t, seeded(t))
	for _, test := range []struct {
		name        string
		credentials Credentials
		id          secret.ID
		kind        Kind
		text        string // without the request id
	}{
		{
			"no such secret", AccessKey(keyID, keySecret),
			secret.ID{Name: "none", Stage: "ACSCurrent"},
			NotFound,
			`reading secret "none" in cn-hangzhou: not found (Forbidden.ResourceNotFound, request ID): check the name, the region, and that it has stage ACSCurrent`,
		},
		{
			"no such version", AccessKey(keyID, keySecret),
			secret.ID{Name: "prod/db", Version: "v9"},
			NotFound,
			`reading secret "prod/db" in cn-hangzhou: not found (Forbidden.ResourceNotFound, request ID): check the name, the region, and that it has version v9`,
		},
		{
			"wrong access key secret", AccessKey(keyID, "wr0ng"+canary), current, BadCredentials,
			`reading secret "prod/db" in cn-hangzhou: credentials refused (SignatureDoesNotMatch, request ID): the access key secret is wrong: check ALIBABA_CLOUD_ACCESS_KEY_SECRET`,
		},
		{
			"unknown access key id", AccessKey(canary, keySecret), current, BadCredentials,
			`reading secret "prod/db" in cn-hangzhou: credentials refused (InvalidAccessKeyId.NotFound, request ID): the access key id is unknown or disabled: check ALIBABA_CLOUD_ACCESS_KEY_ID`,
		},
		{
			"STS token", withToken(), current, BadCredentials, // the emulator knows no sessions
			`reading secret "prod/db" in cn-hangzhou: credentials refused (InvalidSecurityToken.Malformed, request ID): the STS token is wrong or has expired: check ALIBABA_CLOUD_SECURITY_TOKEN`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := newClient(t, settingsFor(server.URL), test.credentials).Get(t.Context(), test.id)
			failure(t, err, test.kind)
			e, _ := errors.AsType[*Error](err)
			if e.RequestID == "" {
				t.Fatal("got no request id")
			}
			if got, want := strings.Replace(err.Error(), e.RequestID, "ID", 1), test.text; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// TestGetParameters looks at what is sent, the parts that the emulator does not
// hold against a client.
func TestGetParameters(t *testing.T) {
	t.Parallel()
	sent := make(chan url.Values, 1)
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent <- r.URL.Query()
		_, _ = io.WriteString(w, goodAnswer)
	}))
	id := current
	id.Region = "eu-central-1"
	if _, err := newClient(t, settingsFor(server.URL), withToken()).Get(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	query := <-sent
	for name, want := range map[string]string{
		"Action": "GetSecretValue", "SecretName": "prod/db", "VersionStage": "ACSCurrent", "VersionId": "",
		"RegionId": "eu-central-1", "AccessKeyId": keyID, "SecurityToken": tokenCanary,
	} {
		if got := query.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestGetConcurrently(t *testing.T) {
	t.Parallel()
	server := serve(t, seeded(t))
	c := newClient(t, settingsFor(server.URL), AccessKey(keyID, keySecret))
	ids := []secret.ID{current, {Name: "prod/db", Version: "v1"}, {Name: "none", Stage: "ACSCurrent"}}
	want := []string{"v2", "v1", ""}
	var group sync.WaitGroup
	for worker := range 64 {
		group.Go(func() {
			for call := range 20 {
				i := (worker + call) % len(ids)
				value, err := c.Get(t.Context(), ids[i])
				if got := value.Version; got != want[i] {
					t.Errorf("%v: got version %q (%v), want %q", ids[i], got, err, want[i])
				}
			}
		})
	}
	group.Wait()
}

// TestProxyVariables holds the SDK off the variables, which it would read at each
// call. It is not parallel: they belong to the process.
func TestProxyVariables(t *testing.T) {
	_, secure, _ := secureServer(t, 0)
	clients := map[string]*Client{
		"http":  newClient(t, settingsFor(serve(t, seeded(t)).URL), AccessKey(keyID, keySecret)),
		"https": newClient(t, secure, AccessKey(keyID, keySecret)),
	}
	for _, test := range []struct{ name, value string }{
		{"NO_PROXY", "(x"},
		{"NO_PROXY", "*"},
		{"NO_PROXY", "**.local"},
		{"no_proxy", "fe80::[1"},
		{"HTTP_PROXY", "http://127.0.0.1:1"},
		{"http_proxy", "%zz://["},
		{"HTTPS_PROXY", "%zz://["},
	} {
		t.Run(test.name+"="+strings.ReplaceAll(test.value, "/", "|"), func(t *testing.T) {
			t.Setenv(test.name, test.value)
			for scheme, c := range clients {
				if _, err := c.Get(t.Context(), current); err != nil {
					t.Errorf("%s: %v", scheme, err)
				}
			}
		})
	}
}

// leavesNoGoroutine runs what, and waits until there are no more goroutines than
// before. It is for tests that are not parallel.
func leavesNoGoroutine(t *testing.T, what func()) {
	t.Helper()
	before := runtime.NumGoroutine()
	what()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for runtime.NumGoroutine() > before {
		if ctx.Err() != nil {
			t.Fatalf("goroutines: got %d, want %d", runtime.NumGoroutine(), before)
		}
		time.Sleep(time.Millisecond)
	}
}

const goodAnswer = `{"SecretName":"prod/db","VersionId":"v1","SecretData":"` + canary + `","RequestId":"R-1",` +
	`"CreateTime":"2026-01-02T03:04:05Z","SecretDataType":"text","VersionStages":{"VersionStage":["ACSCurrent"]}}`
