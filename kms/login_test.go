package kms

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/emulator"
	"github.com/kmsrun/kmsrun/secret"
)

const (
	account1, account2 = "1000000000000001", "2000000000000002"
	readerRole         = "acs:ram::" + account1 + ":role/reader"
	auditRole          = "acs:ram::" + account2 + ":role/audit"
	providerARN        = "acs:ram::" + account1 + ":oidc-provider/cluster"
)

const policies = `accounts:
  "1000000000000001":
    users:
      app:
        access_keys: [{id: app, secret: app-s3cr3t}]
        policies:
          - {Version: "1", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}]}
    roles:
      reader:
        trust:
          principals: ["acs:ram::1000000000000001:user/app"]
          services: [ecs.aliyuncs.com]
          oidc: [{provider: cluster, subjects: ["system:serviceaccount:shop:*"]}]
        policies: [{Version: "1", Statement: [{Effect: Allow, Action: ["kms:GetSecretValue", "sts:AssumeRole"], Resource: "*"}]}]
    oidc_providers:
      cluster: {issuer: "https://oidc.example.com"}
  "2000000000000002":
    roles:
      audit:
        trust: {principals: ["acs:ram::1000000000000001:user/app", "acs:ram::1000000000000001:role/reader"]}
        policies: [{Version: "1", Statement: [{Effect: Deny, Action: "kms:*", Resource: "*"}]}]
`

// write makes a file of a test.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// jwt is a token of a service account, unsigned: the emulator has no issuer to ask.
func jwt() string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256"}`) + "." + part(`{"iss":"https://oidc.example.com","sub":"system:serviceaccount:shop:app","aud":"sts.aliyuncs.com","exp":4102444800}`) + "." + part("x")
}

// cloud is an emulator with two accounts and short sessions.
func cloud(t testing.TB, life time.Duration) (*emulator.Emulator, *httptest.Server) {
	t.Helper()
	e := emulator.New(emulator.Config{SessionLife: life, ECSRole: "reader"})
	if err := e.LoadPolicy(write(t, "policy.yaml", policies)); err != nil {
		t.Fatal(err)
	}
	if err := e.Put("prod/db", "v1", []byte(canary)); err != nil {
		t.Fatal(err)
	}
	return e, serve(t, e)
}

// environment is a Lookup of NAME=value lines.
func environment(lines ...string) Lookup {
	return func(name string) (string, bool) {
		for _, line := range lines {
			if value, ok := strings.CutPrefix(line, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

var appKey = []string{"ALIBABA_CLOUD_ACCESS_KEY_ID=app", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=app-s3cr3t"}

// loginClient is a client with the profiles given, and what it told of them.
func loginClient(t testing.TB, server *httptest.Server, lookup Lookup, auth map[string]config.Auth) (*Client, *[]string) {
	t.Helper()
	told := &[]string{}
	var mu sync.Mutex // profiles log in at the same time
	c, err := New(settingsFor(server.URL), Login{Auth: auth, Lookup: lookup, Using: func(name, identity string) {
		mu.Lock()
		defer mu.Unlock()
		*told = append(*told, name+": "+identity)
	}}, "kmsrun/test", func(Call) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.closeIdle)
	return c, told
}

func TestLogins(t *testing.T) {
	t.Parallel()
	_, server := cloud(t, 0)
	at := func(a config.Auth) config.Auth {
		if a.Type != "uri" && a.Type != "access_key" {
			a.STSEndpoint, a.MetadataEndpoint = server.URL, server.URL
		}
		return a
	}
	token, id, key := write(t, "token", jwt()+"\n"), write(t, "id", "app\n"), write(t, "secret", "app-s3cr3t\n")
	rrsa := []string{"ALICLOUD_ROLE_ARN=" + readerRole, "ALIBABA_CLOUD_OIDC_PROVIDER_ARN=" + providerARN, "ALIBABA_CLOUD_OIDC_TOKEN_FILE=" + token}
	cli := write(t, "config.json", `{"current":"chained","profiles":[
		{"name":"base","mode":"AK","access_key_id":"app","access_key_secret":"app-s3cr3t"},
		{"name":"chained","mode":"ChainableRamRoleArn","source_profile":"base","ram_role_arn":"`+readerRole+`"},
		{"name":"instance","mode":"EcsRamRole"},{"name":"odd","mode":"External"}]}`)
	ini := write(t, "credentials", "[default]\ntype=ram_role_arn\naccess_key_id=app\naccess_key_secret=app-s3cr3t\nrole_arn="+readerRole+"\n")
	off := "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true"
	for name, test := range map[string]struct {
		auth   config.Auth
		lookup Lookup
		source config.Auth
		told   string
	}{
		"assume_role": {
			config.Auth{Type: "assume_role", RoleARN: readerRole, Source: "source"},
			environment(),
			config.Auth{Type: "access_key", AccessKeyIDFile: id, AccessKeySecretFile: key},
			"role " + readerRole,
		},
		"assume_role of the environment's key": {
			config.Auth{Type: "assume_role", RoleARN: readerRole, Source: "source"}, environment(appKey...), config.Auth{Type: "chain"}, "role " + readerRole,
		},
		"oidc":           {auth: config.Auth{Type: "oidc", RoleARN: readerRole, OIDCProviderARN: providerARN, OIDCTokenFile: token}, told: "role " + readerRole + " by OIDC"},
		"ecs_role":       {auth: config.Auth{Type: "ecs_role"}, told: "role reader of this ECS instance"},
		"uri":            {auth: config.Auth{Type: "uri", URI: server.URL + "/credentials/reader"}, told: "what the credentials URI hands out"},
		"CLI profile":    {auth: config.Auth{Type: "profile"}, lookup: environment("ALIBABA_CLOUD_CONFIG_FILE=" + cli), told: "role " + readerRole},
		"named profile":  {auth: config.Auth{Type: "profile", Profile: "instance"}, lookup: environment("ALIBABA_CLOUD_CONFIG_FILE=" + cli), told: "role reader of this ECS instance"},
		"SDK profile":    {auth: config.Auth{Type: "profile"}, lookup: environment("ALICLOUD_CREDENTIALS_FILE=" + ini), told: "role " + readerRole},
		"chain to RRSA":  {auth: config.Auth{Type: "chain"}, lookup: environment(rrsa...), told: "role " + readerRole + " by OIDC"},
		"chain to files": {auth: config.Auth{Type: "chain"}, lookup: environment("ALIBABA_CLOUD_CONFIG_FILE="+cli, off), told: "role " + readerRole},
		"chain to a URI": {auth: config.Auth{Type: "chain"}, lookup: environment("ALIBABA_CLOUD_CREDENTIALS_URI="+server.URL+"/credentials/reader", off), told: "what the credentials URI hands out"},
		"chain to ECS":   {auth: config.Auth{Type: "chain"}, lookup: environment(), told: "role reader of this ECS instance"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.lookup == nil {
				test.lookup = environment()
			}
			c, told := loginClient(t, server, test.lookup, map[string]config.Auth{config.DefaultAuth: at(test.auth), "source": at(test.source)})
			for range 3 {
				if _, err := c.Get(t.Context(), current); err != nil {
					t.Fatal(err)
				}
			}
			if got := (*told)[len(*told)-1]; got != "default: "+test.told {
				t.Errorf("told: got %q, want %q", got, test.told)
			}
		})
	}
}

func TestLoginRefused(t *testing.T) {
	t.Parallel()
	_, server := cloud(t, 0)
	off := "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true"
	broken := write(t, "config.json", `{"current":"`+canary)
	odd := write(t, "odd.json", `{"current":"odd","profiles":[{"name":"odd","mode":"External","process_command":"`+canary+`"}]}`)
	html := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"AccessKeyId":"` + canary + `"}`))
	}))
	ended := serve(t, answering(http.StatusOK, `{"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2020-01-01T00:00:00Z"}`))
	sts := config.Auth{Type: "assume_role", RoleARN: "acs:ram::" + account2 + ":role/none", Source: "source", STSEndpoint: server.URL}
	const start = `reading secret "prod/db" in cn-hangzhou: logging in as auth profile default: `
	for name, test := range map[string]struct {
		auth   config.Auth
		lookup []string
		kind   Kind
		text   string
	}{
		"nothing": {config.Auth{Type: "chain"}, []string{off}, NoCredentials, start + "no credentials (neither in the environment nor by RRSA, profile files, a credentials URI or an instance role): " + setKey + ", or see auth in the declaration"},
		"half a trio": {
			config.Auth{Type: "chain"},
			[]string{"ALIBABA_CLOUD_ROLE_ARN=" + readerRole, "ALICLOUD_OIDC_TOKEN_FILE=/t"},
			NoCredentials, start + "no credentials (RRSA is set up in part): set ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
		},
		"a file that is no JSON": {config.Auth{Type: "profile"}, []string{"ALIBABA_CLOUD_CONFIG_FILE=" + broken}, NoCredentials, start + "no credentials (can't read " + broken + "): check the file and its permissions"},
		"a mode that runs programs": {
			config.Auth{Type: "chain"},
			[]string{"ALIBABA_CLOUD_CONFIG_FILE=" + odd},
			NoCredentials, start + "no credentials (profile odd of " + odd + " has a mode that kmsrun does not know): want AK, StsToken, RamRoleArn, ChainableRamRoleArn, EcsRamRole, OIDC or CredentialsURI",
		},
		"no URI":         {config.Auth{Type: "uri"}, nil, NoCredentials, start + "no credentials (ALIBABA_CLOUD_CREDENTIALS_URI is not set): set it"},
		"half an answer": {config.Auth{Type: "uri", URI: html.URL}, nil, Invalid, start + "asking the credentials URI: invalid answer (an answer without AccessKeyId, AccessKeySecret, SecurityToken or Expiration): check auth's uri, and the service behind it"},
		"a URI of another kind": {
			config.Auth{Type: "uri"},
			[]string{"ALIBABA_CLOUD_CREDENTIALS_URI=ftp://" + canary + "@example.com/x"},
			NoCredentials, start + "asking the credentials URI: no credentials (not an http or https address of a host): check ALIBABA_CLOUD_CREDENTIALS_URI, and the service behind it",
		},
		"a URI in the clear": {
			config.Auth{Type: "chain"},
			[]string{"ALIBABA_CLOUD_CREDENTIALS_URI=HTTP://192.0.2.1/" + canary, off},
			NoCredentials, start + "asking the credentials URI: no credentials (plain http is for this machine only): use https, or set kms.insecure_http: true to send credentials in the clear",
		},
		"a URI that redirects": {
			config.Auth{Type: "uri", URI: serve(t, http.RedirectHandler("/"+canary, http.StatusFound)).URL},
			nil, Invalid, start + "asking the credentials URI: invalid answer (the endpoint answered with a redirect): check auth's uri, and the service behind it",
		},
		"an ended session": {config.Auth{Type: "uri", URI: ended.URL}, nil, Unavailable, start + "asking the credentials URI: unavailable (a session that has ended already): check this machine's clock"},
		"no such role":     {sts, appKey, BadCredentials, start + "taking on role acs:ram::" + account2 + ":role/none: "},
		"no token file":    {config.Auth{Type: "oidc", RoleARN: readerRole, OIDCProviderARN: providerARN, OIDCTokenFile: "/none"}, nil, NoCredentials, start + "taking on role " + readerRole + " by OIDC: no credentials (nothing to read in /none): check ALIBABA_CLOUD_OIDC_TOKEN_FILE and the volume of the token"},
		"no token":         {config.Auth{Type: "sts"}, appKey, NoCredentials, start + "no credentials (ALIBABA_CLOUD_SECURITY_TOKEN is not set): set it"},
		"no key file":      {config.Auth{Type: "access_key", AccessKeyIDFile: "/none", AccessKeySecretFile: "/none"}, nil, NoCredentials, start + "no credentials (nothing to read in /none): check the file"},
		"the key itself":   {config.Auth{Type: "access_key", AccessKeyIDFile: keyID, AccessKeySecretFile: keySecret}, nil, NoCredentials, start + "no credentials (nothing to read in a file whose path is not absolute): check the file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := loginClient(t, server, environment(test.lookup...), map[string]config.Auth{config.DefaultAuth: test.auth, "source": {Type: "chain"}})
			_, err := c.Get(t.Context(), current)
			failure(t, err, test.kind)
			if got := err.Error(); !strings.HasPrefix(got, test.text) {
				t.Errorf("got  %s\nwant %s", got, test.text)
			}
		})
	}
}

// TestTwoProfiles: the one that is denied names the account, the role and the ARN.
func TestTwoProfiles(t *testing.T) {
	t.Parallel()
	_, server := cloud(t, 0)
	c, _ := loginClient(t, server, environment(appKey...), map[string]config.Auth{
		config.DefaultAuth: {Type: "assume_role", RoleARN: readerRole, Source: "key", STSEndpoint: server.URL},
		"audit":            {Type: "assume_role", RoleARN: auditRole, Source: config.DefaultAuth, STSEndpoint: server.URL},
		"key":              {Type: "access_key"},
	})
	if _, err := c.Get(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	_, err := c.Get(t.Context(), secret.ID{Auth: "audit", Name: "prod/db", Stage: secret.StageCurrent})
	failure(t, err, Denied)
	if want := "grant kms:GetSecretValue on acs:kms:cn-hangzhou:" + account2 + ":secret/prod/db to " + auditRole + ","; !strings.Contains(err.Error(), want) {
		t.Errorf("got %s, want %s in it", err, want)
	}
}

func TestExternalID(t *testing.T) {
	t.Parallel()
	sent := make(chan string, 1)
	sts := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent <- r.URL.Query().Get("ExternalId") + " " + r.URL.Query().Get("RoleSessionName")
		_, _ = io.WriteString(w, `{"Credentials":{"AccessKeyId":"i","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2099-01-01T00:00:00Z"}}`)
	}))
	server := serve(t, answering(http.StatusOK, goodAnswer))
	c, _ := loginClient(t, server, environment(appKey...), map[string]config.Auth{
		config.DefaultAuth: {Type: "assume_role", RoleARN: readerRole, Source: "key", ExternalID: "ex", SessionName: "shop", STSEndpoint: sts.URL},
		"key":              {Type: "chain"},
	})
	if _, err := c.Get(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	if got, want := <-sent, "ex shop"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
