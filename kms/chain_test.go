package kms

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// instance serves a value to everybody, and the metadata of an instance with a role
// unless it is down.
func instance(t *testing.T) (server *httptest.Server, down *atomic.Bool) {
	t.Helper()
	down = &atomic.Bool{}
	server = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !strings.HasPrefix(r.URL.Path, "/latest"):
			_, _ = io.WriteString(w, goodAnswer)
		case down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Method == http.MethodPut:
			_, _ = io.WriteString(w, "token")
		case strings.HasSuffix(r.URL.Path, "/"):
			_, _ = io.WriteString(w, "node")
		default:
			_, _ = fmt.Fprintf(w, `{"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t","Expiration":%q}`,
				time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		}
	}))
	return server, down
}

// TestChainStopsAtWhatIsSetUp: a profile that is there and does not work is an error,
// and never the role of the node.
func TestChainStopsAtWhatIsSetUp(t *testing.T) {
	t.Parallel()
	server, _ := instance(t)
	auth := map[string]config.Auth{config.DefaultAuth: {Type: "chain", MetadataEndpoint: server.URL}}
	const role = `"ram_role_arn":"acs:ram::1000000000000001:role/x"`
	for name, file := range map[string]string{
		"source of a role missing": `{"current":"prod","profiles":[{"name":"prod","mode":"ChainableRamRoleArn","source_profile":"typo",` + role + `}]}`,
		"source of a role empty":   `{"current":"prod","profiles":[{"name":"prod","mode":"ChainableRamRoleArn","source_profile":"a",` + role + `},{"name":"a","mode":"AK"}]}`,
		"half a key":               `{"current":"prod","profiles":[{"name":"prod","mode":"AK","access_key_id":"x"}]}`,
		"a role without a key":     `{"current":"prod","profiles":[{"name":"prod","mode":"RamRoleArn","access_key_id":"x",` + role + `}]}`,
		"current is missing":       `{"current":"prod","profiles":[{"name":"other","mode":"AK"}]}`,
		"no token":                 `{"current":"prod","profiles":[{"name":"prod","mode":"StsToken","access_key_id":"x","access_key_secret":"y"}]}`,
	} {
		c, told := loginClient(t, server, environment("ALIBABA_CLOUD_CONFIG_FILE="+write(t, "config.json", file)), auth)
		if _, err := c.Get(t.Context(), current); err == nil || len(*told) > 0 {
			t.Errorf("%s: got %v as %q, want an error", name, err, *told)
		}
	}
	// The empty file of the CLI's first run is nobody's wish.
	first := write(t, "config.json", `{"current":"default","profiles":[{"name":"default","mode":"AK"}]}`)
	c, told := loginClient(t, server, environment("ALIBABA_CLOUD_CONFIG_FILE="+first), auth)
	if _, err := c.Get(t.Context(), current); err != nil || len(*told) != 1 || (*told)[0] != "default: role node of this ECS instance" {
		t.Errorf("first run of the CLI: got %v as %q, want the instance's role", err, *told)
	}
}

// TestChainStays with what has worked, and with nothing that has not.
func TestChainStays(t *testing.T) {
	t.Parallel()
	server, _ := instance(t)
	file := filepath.Join(t.TempDir(), "config.json")
	appear := func(t *testing.T) {
		text := `{"current":"p","profiles":[{"name":"p","mode":"AK","access_key_id":"k","access_key_secret":"s"}]}`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	chain := func(more ...string) (*Client, *[]string) {
		return loginClient(t, server, environment(append(more, "ALIBABA_CLOUD_CONFIG_FILE="+file)...),
			map[string]config.Auth{config.DefaultAuth: {Type: "chain", MetadataEndpoint: server.URL}})
	}
	onInstance, _ := chain()
	elsewhere, _ := chain("ALIBABA_CLOUD_ECS_METADATA_DISABLED=true")
	if _, err := onInstance.Get(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Get(t.Context(), current); err == nil {
		t.Fatal("a login out of nothing")
	}
	appear(t)
	for c, want := range map[*Client]string{onInstance: "role node of this ECS instance", elsewhere: "profile p of " + file} {
		keys, err := c.profiles[config.DefaultAuth].bridge.source(t.Context())
		if err != nil || keys.what != want {
			t.Errorf("got %q, %v, want %s", keys.what, err, want)
		}
	}
}

// TestChainKnowsAnOutage: metadata that answers, if only with an error, is there.
func TestChainKnowsAnOutage(t *testing.T) {
	t.Parallel()
	server, down := instance(t)
	down.Store(true)
	auth := map[string]config.Auth{config.DefaultAuth: {Type: "chain", MetadataEndpoint: server.URL}}
	c, _ := loginClient(t, server, environment(), auth)
	_, err := c.Get(t.Context(), current)
	if e, ok := err.(*Error); !ok || !e.Outage() { //nolint:errorlint // Get returns it unwrapped
		t.Errorf("got %v, want an outage", err)
	}
}

// TestAssumeRoleReplacesItsSource: when STS refuses the source's token as expired, the
// source is asked for another.
func TestAssumeRoleReplacesItsSource(t *testing.T) {
	t.Parallel()
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch query := r.URL.Query(); {
		case query.Get("Action") != "AssumeRole":
			_, _ = io.WriteString(w, goodAnswer)
		case query.Get("SecurityToken") != "new":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"Code":"InvalidSecurityToken.Expired","RequestId":"r-1","Message":"x"}`)
		default:
			_, _ = io.WriteString(w, `{"RequestId":"r","Credentials":{"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2099-01-01T00:00:00Z"}}`)
		}
	}))
	file := func(token string) string {
		return `{"current":"p","profiles":[{"name":"p","mode":"StsToken","access_key_id":"a","access_key_secret":"b","sts_token":"` + token + `"}]}`
	}
	path := write(t, "config.json", file("old"))
	c, _ := loginClient(t, server, environment("ALIBABA_CLOUD_CONFIG_FILE="+path), map[string]config.Auth{
		config.DefaultAuth: {Type: "assume_role", RoleARN: readerRole, Source: "src", STSEndpoint: server.URL},
		"src":              {Type: "profile"},
	})
	if _, err := c.profiles["src"].bridge.get(t.Context()); err != nil { // the old one is held
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(file("new")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context(), current); err != nil {
		t.Errorf("got %v, want the secret", err)
	}
}
