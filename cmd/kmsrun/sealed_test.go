package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"

	"github.com/kmsrun/kmsrun/emulator"
)

// newIdentity writes an age identity to memory, where no sealed file lies.
func newIdentity(t *testing.T, dir string, mode os.FileMode) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "identity")
	if err := os.WriteFile(path, []byte(identity.String()+"\n"), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// sealing declares a sealed file and an identity for it.
func sealing(t *testing.T, more string) (declaration, sealed, identity string) {
	t.Helper()
	dir := t.TempDir()
	sealed, identity = filepath.Join(dir, "app.age"), newIdentity(t, shm(t), 0o400)
	declaration = put(t, dir, "kmsrun.yaml", "kms: {start_timeout: 1s, rate_limit: 1000}\nwatch: {interval: 100ms, debounce: 50ms}\n"+
		"sealed: {file: '"+sealed+"', identity_file: '"+identity+"', max_age: 1h}\n"+more)
	return declaration, sealed, identity
}

// shows is a program that shows what it was given, and waits.
const shows = `trap 'exit 0' TERM; echo "given $DB"; while :; do sleep 0.05; done`

// metric reads one series.
func metric(t *testing.T, socket, series string) string {
	t.Helper()
	_, text := get(t, socket, "GET", "/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

func (r *running) end(t *testing.T) {
	t.Helper()
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0; stderr:\n%s", got, r.err.String())
	}
}

// took is the time between two lines of kmsrun's log.
func took(t *testing.T, log, from, to string) time.Duration {
	t.Helper()
	var times [2]time.Time
	for i, text := range []string{from, to} {
		m := regexp.MustCompile(`time=(\S+) [^\n]*` + regexp.QuoteMeta(text)).FindStringSubmatch(log)
		if m == nil {
			t.Fatalf("no %q in\n%s", text, log)
		}
		var err error
		if times[i], err = time.Parse(time.RFC3339Nano, m[1]); err != nil {
			t.Fatal(err)
		}
	}
	return times[1].Sub(times[0])
}

// TestStartsFromTheSealedFile: with KMS away kmsrun starts from the file, and the
// program gets the live values by the ordinary road once KMS is back.
func TestStartsFromTheSealedFile(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", canary("db-1"))
	s.put(t, "plain", "v1", canary("plain"))
	declaration, sealed, identity := sealing(t, "")
	environ := s.environ("DB=kms://db", "PLAIN=kms://plain")
	first := start(t, environ, "exec", "-c", declaration, "--", "sh", "-c", shows)
	first.awaitOutput("given " + canary("db-1"))
	first.end(t) // and what was published is sealed by then
	content, err := os.ReadFile(sealed)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "the sealed file", string(content))

	s.stop()
	once := start(t, environ, "exec", "-c", declaration, "--once", "--", "sh", "-c", "echo $DB")
	if got := once.wait(); got != 0 || once.out.String() != canary("db-1")+"\n" {
		t.Errorf("--once with KMS away: got status %d, stderr:\n%s", got, once.err.String())
	}
	socket := filepath.Join(shm(t), "http.sock")
	r := start(t, environ, "exec", "-c", declaration, "--listen", "unix:"+socket, "--log-level", "debug", "--", "sh", "-c", shows)
	r.awaitOutput("given " + canary("db-1"))
	r.await("the line about the start", func() bool { return strings.Contains(r.err.String(), "program started") })
	r.await("the gauge", func() bool { return metric(t, socket, "kmsrun_secrets_from_sealed") == "2" })
	if got := strings.Count(r.err.String(), `level=WARN msg="starting from the sealed snapshot`); got != 1 {
		t.Errorf("warnings: got %d, want 1 in\n%s", got, r.err.String())
	}
	t.Logf("started %s after the login, with start_timeout: 1s", took(t, r.err.String(), "logged in", "program started"))

	s.put(t, "db", "v2", canary("db-2")) // rotated during the outage
	s.start(t, s.address)
	r.awaitOutput("given " + canary("db-2"))
	r.await("live values", func() bool { return metric(t, socket, "kmsrun_secrets_from_sealed") == "0" })
	r.await("the new file", func() bool { return strings.Contains(opened(t, identity, sealed), canary("db-2")) })
	r.end(t)
	check(t, "stderr", first.err.String()+once.err.String()+r.err.String())
	if got := strings.Count(r.err.String(), "reason=change"); got != 1 {
		t.Errorf("restarts: got %d, want 1 in\n%s", got, r.err.String())
	}
}

// opened is the plaintext of the sealed file.
func opened(t *testing.T, identity, sealed string) string {
	t.Helper()
	key, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(key))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(sealed)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := age.Decrypt(armor.NewReader(bytes.NewReader(content)), identities...)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSealedUnchanged: a start from the file and the return of a KMS that has nothing
// new is no change for the program.
func TestSealedUnchanged(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", "one \x00<&>\u2028 é\r\n")
	declaration, _, _ := sealing(t, "env: {HOME: /}\nfiles: {items: {db: 'kms://db'}}\non_change: {files: restart}\n")
	dir := shm(t)
	run := func(socket string) *running {
		r := start(t, s.environ(), "exec", "-c", declaration, "--dir", filepath.Join(dir, "files"), "--listen", "unix:"+socket, "--",
			"sh", "-c", `trap 'exit 0' TERM; echo "given $(wc -c < `+dir+`/files/db)"; while :; do sleep 0.05; done`)
		r.awaitOutput("given 16\n")
		return r
	}
	socket := filepath.Join(dir, "http.sock")
	run(socket).end(t)
	s.stop()
	r := run(socket)
	s.start(t, s.address)
	r.await("live values", func() bool { return strings.Contains(r.err.String(), "nothing is left of the sealed snapshot") })
	r.await("the end of the outage", func() bool { return metric(t, socket, "kmsrun_kms_up") == "1" })
	r.end(t)
	if got := r.out.String(); got != "given 16\n" {
		t.Errorf("got %q, want the program left alone", got)
	}
}

// TestSealedRefusals: what stops a start, with which status, and before what.
func TestSealedRefusals(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", canary("db-1"))
	declaration, sealed, identity := sealing(t, "env: {DB: 'kms://db'}\n")
	seal := func(t *testing.T) {
		t.Helper()
		if r := start(t, s.environ(), "exec", "-c", declaration, "--once", "--", "true"); r.wait() != 0 {
			t.Fatal(r.err.String())
		}
	}
	seal(t)
	run := func(t *testing.T, environ []string, declaration string, status int, want string) {
		t.Helper()
		r := start(t, environ, "exec", "-c", declaration, "--", "echo", "started")
		if got := r.wait(); got != status || !strings.Contains(r.err.String(), want) || r.out.String() != "" {
			t.Errorf("got status %d, output %q; want %d and %q in\n%s", got, r.out.String(), status, want, r.err.String())
		}
		check(t, "stderr", r.err.String())
	}
	calls := len(s.Requests())
	open := newIdentity(t, shm(t), 0o444)
	beside := newIdentity(t, filepath.Dir(sealed), 0o400)
	for _, bad := range []string{open, beside, "${CREDENTIALS_DIRECTORY}/identity"} {
		text := fmt.Sprintf("sealed: {file: %q, identity_file: %q}\nenv: {DB: 'kms://db'}\n", sealed, bad)
		run(t, s.environ(), put(t, t.TempDir(), "kmsrun.yaml", text), 125, "kmsrun: sealed.identity_file: ")
	}
	if got := len(s.Requests()); got != calls {
		t.Errorf("calls to KMS with a bad identity: got %d, want none", got-calls)
	}
	credentials := append(s.environ(), "CREDENTIALS_DIRECTORY="+filepath.Dir(identity))
	text := fmt.Sprintf("sealed: {file: %q, identity_file: '${CREDENTIALS_DIRECTORY}/identity'}\nenv: {DB: 'kms://db'}\n", sealed)
	if r := start(t, credentials, "exec", "-c", put(t, t.TempDir(), "kmsrun.yaml", text), "--", "true"); r.wait() != 0 {
		t.Errorf("an identity from systemd: %s", r.err.String())
	}

	// Refused by KMS: the file is not even opened.
	run(t, s.environ("ALIBABA_CLOUD_ACCESS_KEY_SECRET="+canary("token")), declaration, 125, "credentials refused")
	s.remove(t, "db")
	run(t, s.environ(), declaration, 125, "not found")
	s.put(t, "db", "v1", canary("db-1"))

	s.stop()
	content, err := os.ReadFile(sealed)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Dir(sealed), filepath.Base(sealed), string(content[:len(content)/2]))
	run(t, s.environ(), declaration, 124, `msg="the sealed snapshot can't stand in for KMS" file=`+sealed+` err="truncated: its end is missing"`)
	if err := os.Remove(sealed); err != nil {
		t.Fatal(err)
	}
	run(t, s.environ(), declaration, 124, `err="can't be read: no such file or directory"`)
}

// TestTwoHundredSealed: a file of 200 secrets holds no plaintext, opens with the age
// tool to what is documented, and a start finds all of them in it while KMS and its
// login take calls and never answer.
func TestTwoHundredSealed(t *testing.T) {
	t.Parallel()
	var env strings.Builder
	e := emulator.New(emulator.Config{AccessKeySecret: canary("access-key-secret")})
	s := &service{Emulator: e}
	s.start(t, "127.0.0.1:0")
	t.Cleanup(s.stop)
	for i := range 200 {
		s.put(t, fmt.Sprintf("s/%d", i), "v1", fmt.Sprintf(`{"password": "%s-%d <&>"}`, canary("plain"), i))
		fmt.Fprintf(&env, "  S%d: 'kms://s/%d#password'\n", i, i)
	}
	declaration, sealed, identity := sealing(t, "env:\n"+env.String())
	run := func() *running {
		return start(t, s.environ(), "exec", "-c", declaration, "--", "sh", "-c", "env | grep -c '^S[0-9]*="+canary("plain")+"-[0-9]* <&>$'")
	}
	if r := run(); r.wait() != 0 || r.out.String() != "200\n" {
		t.Fatalf("got %q, want 200 variables; stderr:\n%s", r.out.String(), r.err.String())
	}
	content, err := os.ReadFile(sealed)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "the sealed file", string(content))
	text := opened(t, identity, sealed)
	var document struct {
		Secrets map[string]struct{ Value, Version string }
	}
	if err := json.Unmarshal([]byte(text), &document); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		got, want := document.Secrets[fmt.Sprintf("kms://s/%d", i)], fmt.Sprintf(`{"password": "%s-%d <&>"}`, canary("plain"), i)
		if got.Value != want || got.Version != "v1" {
			t.Errorf("secret %d: got %v, want %s", i, got, want)
		}
	}
	if !strings.Contains(text, `"value": "{\"password\": \"`+canary("plain")+`-7 <&>\"}"`) {
		t.Error("a value does not stand as a plain string")
	}

	for _, fault := range []emulator.Fault{{Kind: "hang"}, {Kind: "throttle"}, {Kind: "unavailable"}} {
		if err := s.Fault(fault); err != nil {
			t.Fatal(err)
		}
		r := run()
		if got := r.wait(); got != 0 || r.out.String() != "200\n" {
			t.Errorf("%s: got status %d, %q, want 200 variables; stderr:\n%s", fault.Kind, got, r.out.String(), r.err.String())
		} else {
			t.Logf("%s: started %s after the login, with start_timeout: 1s", fault.Kind, took(t, r.err.String(), "logged in", "program started"))
		}
		s.ClearFaults()
	}
	_, err = exec.LookPath("age")
	need(t, err == nil, "age")
	byTool, err := exec.Command("age", "-d", "-i", identity, sealed).Output()
	if err != nil || len(byTool) == 0 || string(byTool) != opened(t, identity, sealed) {
		t.Errorf("the age tool: got %d bytes, %v; want what the library says", len(byTool), err)
	}
}
