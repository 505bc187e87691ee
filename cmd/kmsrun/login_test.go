package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/emulator"
)

const (
	sessionLife = 5 * time.Second
	readerRole  = "acs:ram::1000000000000001:role/reader"
	auditRole   = "acs:ram::2000000000000002:role/audit"
	clusterARN  = "acs:ram::1000000000000001:oidc-provider/cluster"
)

const cloudPolicies = `accounts:
  "1000000000000001":
    users:
      app:
        access_keys: [{id: app, secret: canary-access-key-secret-7f3a9c51}]
        policies: [{Version: "1", Statement: [{Effect: Allow, Action: ["sts:AssumeRole", "kms:*"], Resource: "*"}]}]
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
        trust: {principals: ["acs:ram::1000000000000001:role/reader"]}
        policies: [{Version: "1", Statement: [{Effect: Deny, Action: "kms:*", Resource: "*"}]}]
`

// newCloud is an emulator with roles, whose sessions are short.
func newCloud(t *testing.T) (*emulator.Emulator, *httptest.Server, string) {
	t.Helper()
	dir := t.TempDir()
	e := emulator.New(emulator.Config{SessionLife: sessionLife, ECSRole: "reader"})
	put(t, dir, "policy.yaml", cloudPolicies)
	if err := e.LoadPolicy(filepath.Join(dir, "policy.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := e.Put("db", "v1", []byte(canary("db-1"))); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return e, server, dir
}

// put replaces a file in one step, as whoever renews credentials should.
func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// serviceToken is what a kubelet projects; id makes each another.
func serviceToken(id int64) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256"}`) + "." + part(fmt.Sprintf(`{"iss":"https://oidc.example.com","sub":"system:serviceaccount:shop:app",`+
		`"aud":"sts.aliyuncs.com","exp":%d,"jti":"%d"}`, time.Now().Add(time.Minute).Unix(), id)) + "." + part("x")
}

// renewFiles does what kubelets and agents do around kmsrun, until the test ends.
func renewFiles(t *testing.T, server *httptest.Server, dir string) {
	t.Helper()
	renew := func() error {
		response, err := http.Get(server.URL + "/credentials/reader")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		var session struct{ AccessKeyID, AccessKeySecret, SecurityToken string }
		if err := json.NewDecoder(response.Body).Decode(&session); err != nil {
			return err
		}
		texts := map[string]string{
			"oidc": serviceToken(time.Now().UnixNano()), "sts-id": session.AccessKeyID,
			"sts-secret": session.AccessKeySecret, "sts-token": session.SecurityToken,
		}
		for name, text := range texts {
			if err := os.WriteFile(filepath.Join(dir, name+".new"), []byte(text), 0o600); err != nil {
				return err
			}
		}
		for name := range texts { // all at once, or what is read in between does not match
			if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := renew(); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped })
	go func() {
		defer close(stopped)
		for {
			select {
			case <-time.After(sessionLife / 5):
			case <-stop:
				return
			}
			if err := renew(); err != nil {
				t.Error(err)
			}
		}
	}()
}

// loginTypes are the auth sections of all types, and the environment each wants.
func loginTypes(url, dir string) map[string][2]string {
	key := "access_key_id_file: " + dir + "/id, access_key_secret_file: " + dir + "/secret"
	at := "sts_endpoint: " + url + ", metadata_endpoint: " + url
	return map[string][2]string{
		"access_key":  {"default: {type: access_key, " + key + "}"},
		"sts":         {"default: {type: sts, access_key_id_file: " + dir + "/sts-id, access_key_secret_file: " + dir + "/sts-secret, security_token_file: " + dir + "/sts-token}"},
		"oidc":        {"default: {type: oidc, role_arn: '" + readerRole + "', oidc_provider_arn: '" + clusterARN + "', oidc_token_file: " + dir + "/oidc, sts_endpoint: " + url + "}"},
		"chain":       {"default: {type: chain, " + at + "}", "ALIBABA_CLOUD_ROLE_ARN=" + readerRole + " ALIBABA_CLOUD_OIDC_PROVIDER_ARN=" + clusterARN + " ALIBABA_CLOUD_OIDC_TOKEN_FILE=" + dir + "/oidc"},
		"ecs_role":    {"default: {type: ecs_role, metadata_endpoint: " + url + "}"},
		"profile":     {"default: {type: profile, " + at + "}", "HOME=" + dir},
		"uri":         {"default: {type: uri, uri: " + url + "/credentials/reader}"},
		"assume_role": {"key: {type: access_key, " + key + "}\n  default: {type: assume_role, source: key, role_arn: '" + readerRole + "', session_name: shop, sts_endpoint: " + url + "}"},
	}
}

// stressTime is how long sessions come and go.
func stressTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("KMSRUN_TEST_STRESS")
	if text == "" {
		return 4 * sessionLife
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestLoginTypes runs a kmsrun of each type, side by side, through many sessions: no
// poll fails, no expired token is used, and nothing grows.
func TestLoginTypes(t *testing.T) {
	t.Parallel()
	e, server, dir := newCloud(t)
	put(t, dir, "id", "app\n")
	put(t, dir, "secret", canary("access-key-secret")+"\n")
	if err := os.Mkdir(filepath.Join(dir, ".aliyun"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, dir, ".aliyun/config.json", `{"current":"x","profiles":[{"name":"x","mode":"RamRoleArn","access_key_id":"app","access_key_secret":"`+
		canary("access-key-secret")+`","ram_role_arn":"`+readerRole+`"}]}`)
	renewFiles(t, server, dir)
	all := map[string]*running{}
	for name, login := range loginTypes(server.URL, dir) {
		declaration := put(t, dir, name+".yaml", "kms: {endpoint: '"+server.URL+"'}\nwatch: {interval: 100ms}\nauth:\n  "+login[0]+"\nenv: {DB: kms://db}\n")
		environ := append(strings.Fields(login[1]), "PATH="+os.Getenv("PATH"))
		all[name] = start(t, environ, "exec", "-c", declaration, "--listen", "unix:"+dir+"/"+name+".sock", "--",
			"sh", "-c", `trap 'exit 0' TERM; echo started; while :; do sleep 0.2; done`)
	}
	for _, r := range all {
		r.awaitOutput("started")
	}
	began, total := time.Now(), stressTime(t)
	var before map[string][2]int
	for time.Since(began) < total {
		time.Sleep(500 * time.Millisecond)
		if before == nil && time.Since(began) > total/3 {
			before = footprints(t, all, dir)
		}
	}
	for name, r := range all { // what has grown stays; what is under way does not
		was := before[name]
		r.await(fmt.Sprintf("goroutines and files of %s to be no more than %v", name, was), func() bool {
			now := footprints(t, map[string]*running{name: r}, dir)[name]
			return now[0] <= was[0]+3 && now[1] <= was[1]+3
		})
	}
	for name, r := range all {
		endLogin(t, name, r)
	}
	for _, call := range e.Requests() {
		if call.Status != http.StatusOK && !strings.Contains(call.Code, "Mismatch") && call.Code != "SignatureDoesNotMatch" { // three files can't change in one step
			t.Errorf("%s by %s: got %d %s", call.Action, call.Caller, call.Status, call.Code)
		}
	}
}

// endLogin ends one kmsrun and looks at what it said.
func endLogin(t *testing.T, name string, r *running) {
	t.Helper()
	_ = r.Process.Signal(syscall.SIGTERM)
	if got := r.wait(); got != 0 {
		t.Errorf("%s: exit status: got %d, want 0", name, got)
	}
	text := r.err.String()
	if got := strings.Count(text, `msg="logged in"`); got != 1+strings.Count(name, "assume") {
		t.Errorf("%s: identities told: got %d; stderr:\n%s", name, got, text)
	}
	if where, bad := leaked(text); bad || strings.Contains(text, "level=WARN") {
		t.Errorf("%s: trouble or %s in stderr:\n%s", name, where, text)
	}
}

// footprints are the goroutines and open files of each.
func footprints(t *testing.T, all map[string]*running, dir string) map[string][2]int {
	t.Helper()
	found := map[string][2]int{}
	for name := range all {
		_, text := get(t, filepath.Join(dir, name+".sock"), "GET", "/metrics")
		var numbers [2]int
		for i, series := range []string{"go_goroutines", "process_open_fds"} {
			m := regexp.MustCompile(`(?m)^` + series + ` (\d+)$`).FindStringSubmatch(text)
			if m == nil {
				t.Fatalf("%s: no %s in\n%s", name, series, text)
			}
			numbers[i], _ = strconv.Atoi(m[1])
		}
		if strings.Contains(text, "\nkmsrun_kms_up 0\n") {
			t.Errorf("%s: an outage", name)
		}
		found[name] = numbers
	}
	return found
}

// TestTwoLogins: two profiles in one declaration, and the denied one says for whom
// and for what.
func TestTwoLogins(t *testing.T) {
	t.Parallel()
	_, server, dir := newCloud(t)
	declaration := put(t, dir, "two.yaml", "kms: {endpoint: '"+server.URL+"', region: cn-hangzhou}\nauth:\n"+
		"  default: {type: ecs_role, metadata_endpoint: '"+server.URL+"'}\n"+
		"  audit: {type: assume_role, role_arn: '"+auditRole+"', sts_endpoint: '"+server.URL+"'}\n"+
		"env: {A: kms://db, B: 'kms://db?auth=audit'}\n")
	r := start(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--log-level", "error", "-c", declaration, "--", "true")
	if got := r.wait(); got != 125 {
		t.Errorf("exit status: got %d, want 125", got)
	}
	want := regexp.MustCompile(`^kmsrun: env B: reading secret "db" in cn-hangzhou: access denied \(Forbidden.NoPermission, request [0-9a-f-]+\): ` +
		`grant kms:GetSecretValue on acs:kms:cn-hangzhou:2000000000000002:secret/db to acs:ram::2000000000000002:role/audit, and kms:Decrypt if a key of yours encrypts it\n$`)
	if got := r.err.String(); !want.MatchString(got) {
		t.Errorf("got %s", got)
	}
}

// TestStartSaysWhatItWaitsFor after three seconds.
func TestStartSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", "one")
	if err := s.Fault(emulator.Fault{Kind: "throttle"}); err != nil {
		t.Fatal(err)
	}
	r := start(t, s.environ("DB=kms://db"), "exec", "--", "sh", "-c", "echo $DB")
	waits := regexp.MustCompile(`still waiting for KMS.*throttled \(Rejected.Throttling`)
	r.await("the line about waiting", func() bool { return waits.MatchString(r.err.String()) })
	s.ClearFaults()
	r.awaitOutput("one\n")
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0", got)
	}
}

// TestDevWithProfiles: --dev stands for every account.
func TestDevWithProfiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	seed := put(t, dir, "seed.yaml", "secrets: {db: one}\n")
	declaration := put(t, dir, "kmsrun.yaml", "auth:\n  audit: {type: assume_role, role_arn: '"+auditRole+"'}\nenv: {A: kms://db, B: 'kms://db?auth=audit'}\n")
	r := start(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--dev", seed, "-c", declaration, "--", "sh", "-c", "echo $A $B")
	r.awaitOutput("one one\n")
}
