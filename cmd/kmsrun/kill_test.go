package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/emulator"
)

// two are one cloud behind two doors, which close and open by themselves: KMS, and
// the STS that a login by role needs.
type two struct {
	kms, sts    *service
	declaration string
	environ     []string
}

func newTwo(t *testing.T, life time.Duration, more string) two {
	t.Helper()
	dir := t.TempDir()
	e := emulator.New(emulator.Config{SessionLife: life, ECSRole: "reader"})
	put(t, dir, "policy.yaml", cloudPolicies)
	if err := e.LoadPolicy(filepath.Join(dir, "policy.yaml")); err != nil {
		t.Fatal(err)
	}
	c := two{kms: &service{Emulator: e}, sts: &service{Emulator: e}, environ: []string{"PATH=" + os.Getenv("PATH")}}
	for _, s := range []*service{c.kms, c.sts} {
		s.start(t, "127.0.0.1:0")
		t.Cleanup(s.stop)
	}
	put(t, dir, "id", "app\n")
	put(t, dir, "secret", canary("access-key-secret")+"\n")
	c.declaration = put(t, dir, "kmsrun.yaml", "kms: {endpoint: 'http://"+c.kms.address+"'}\n"+
		"watch: {interval: 100ms, debounce: 50ms}\nauth:\n"+
		"  key: {type: access_key, access_key_id_file: "+dir+"/id, access_key_secret_file: "+dir+"/secret}\n"+
		"  default: {type: assume_role, source: key, role_arn: '"+readerRole+"', sts_endpoint: 'http://"+c.sts.address+"'}\n"+more)
	return c
}

// polls counts the answers of KMS.
func (c two) polls() int {
	n := 0
	for _, r := range c.kms.Requests() {
		if r.Action == "GetSecretValue" && r.Status == 200 {
			n++
		}
	}
	return n
}

// What is told of the two logins that a test takes away.
const (
	stsPlace      = "logging in as auth profile default: taking on role " + readerRole
	metadataPlace = "logging in as auth profile default: asking the metadata of the ECS instance"
)

// TestLoginOutage: an STS or a metadata service that is down changes nothing while the
// session is valid, and then it is an outage like any other.
func TestLoginOutage(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]string{"assume_role": stsPlace, "ecs_role": metadataPlace} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTwo(t, 4*time.Second, "env: {DB: 'kms://db'}\n")
			if name == "ecs_role" {
				c.declaration = edited(t, c.declaration, "default: {", "other: {", "  other:", "  default: {type: ecs_role, metadata_endpoint: 'http://"+c.sts.address+"'}\n  other:")
			}
			c.kms.put(t, "db", "v1", "one")
			socket := filepath.Join(shm(t), "http.sock")
			r := start(t, c.environ, "exec", "-c", c.declaration, "--listen", "unix:"+socket, "--", "sh", "-c", shows)
			r.awaitOutput("given one\n")
			c.sts.stop()
			polled := c.polls()
			r.await("polls without a login", func() bool { return c.polls() >= polled+5 })
			if strings.Contains(r.err.String(), "level=WARN") || metric(t, socket, "kmsrun_kms_up") != "1" {
				t.Errorf("with a valid session: got\n%s", r.err.String())
			}
			r.await("the outage", func() bool { return metric(t, socket, "kmsrun_kms_up") == "0" })
			if status, _ := get(t, socket, "GET", "/readyz"); status != 200 || r.out.String() != "given one\n" {
				t.Errorf("without a session: /readyz %d, output %q", status, r.out.String())
			}
			c.kms.put(t, "db", "v2", "two")
			c.sts.start(t, c.sts.address)
			r.awaitOutput("given two\n")
			r.await("the end of the outage", func() bool { return events(r.err.String())[place] == "wi" })
			r.end(t)
			wantEvents(t, r.err.String(), map[string]int{place: 1})
		})
	}
}

// TestStartWithoutSTS: a login that can't be done for an outage is one at the start too.
func TestStartWithoutSTS(t *testing.T) {
	t.Parallel()
	sealed := filepath.Join(t.TempDir(), "app.age")
	c := newTwo(t, time.Hour, "env: {DB: 'kms://db'}\nsealed: {file: '"+sealed+"', identity_file: '"+newIdentity(t, shm(t), 0o400)+"'}\n")
	c.kms.put(t, "db", "v1", "one")
	run := func() *running {
		return start(t, append(c.environ, "KMSRUN_LOG_LEVEL=debug"), "exec", "-c", edited(t, c.declaration, "kms: {", "kms: {start_timeout: 1s, "), "--once", "--", "sh", "-c", "echo $DB")
	}
	if r := run(); r.wait() != 0 {
		t.Fatal(r.err.String())
	}
	c.sts.stop()
	r := run()
	if got := r.wait(); got != 0 || r.out.String() != "one\n" || !strings.Contains(r.err.String(), "starting from the sealed snapshot") {
		t.Errorf("got status %d, output %q, and\n%s", got, r.out.String(), r.err.String())
	}
	if err := os.Remove(sealed); err != nil {
		t.Fatal(err)
	}
	if r := run(); r.wait() != 124 {
		t.Errorf("without a file: got status %d, want 124; stderr:\n%s", r.ProcessState.ExitCode(), r.err.String())
	}
}

// edited is a copy of a declaration with some text replaced, beside it.
func edited(t *testing.T, declaration string, oldnew ...string) string {
	t.Helper()
	text, err := os.ReadFile(declaration)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(string(text), oldnew[i]) {
			t.Fatalf("no %q in\n%s", oldnew[i], text)
		}
		text = []byte(strings.Replace(string(text), oldnew[i], oldnew[i+1], 1))
	}
	return put(t, filepath.Dir(declaration), "edited.yaml", string(text))
}

var outageLine = regexp.MustCompile(`(?m)level=(WARN|INFO) msg="(KMS can't be read|KMS can be read again)[^"]*" place=("[^"]*"|\S+)`)

// events lists for each place what was said of its outages: w for one that begins, i
// for one that ends.
func events(log string) map[string]string {
	found := map[string]string{}
	for _, m := range outageLine.FindAllStringSubmatch(log, -1) {
		place := strings.Trim(m[3], `"`)
		found[place] += strings.ToLower(m[1][:1])
	}
	return found
}

// wantEvents wants at most so many outages of each place, each told once when it began
// and once when it ended.
func wantEvents(t *testing.T, log string, most map[string]int) {
	t.Helper()
	for place, told := range events(log) {
		n := len(told) / 2
		if told != strings.Repeat("wi", n) || n > most[place] {
			t.Errorf("outages of %s: got %q, want wi for each of at most %d; stderr:\n%s", place, told, most[place], log)
		}
	}
}

// outageTime is how long things are killed.
func outageTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("KMSRUN_TEST_OUTAGE")
	if text == "" {
		return 6 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// rotated is what is in force, by secret.
type rotated map[string]int

// line is what the program shows when it has it all.
func (v rotated) line() string { return fmt.Sprintf("has %d %d %d", v["a"], v["b"], v["c"]) }

// TestKilledAtRandom kills KMS and STS at random while secrets rotate: no version that
// is in force at the end of an outage is lost, none goes back, and each outage of each
// place is told once when it begins and once when it ends.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	dir := shm(t)
	c := newTwo(t, sessionLife, "files: {dir: '"+dir+"/files', items: {a: 'kms://a', b: 'kms://b', c: 'kms://c'}}\non_change: {files: SIGHUP}\n")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	now := rotated{}
	rotate := func(name string) {
		now[name]++
		c.kms.put(t, name, fmt.Sprintf("v%d", now[name]), strconv.Itoa(now[name]))
	}
	for _, name := range []string{"a", "b", "c"} {
		rotate(name)
	}
	script := `cd ` + dir + `/files; show() { d=$(readlink ..data); echo has $(for n in a b c; do cat $d/$n; echo; done); }; ` +
		`trap show HUP; trap 'exit 0' TERM; show; while :; do sleep 0.02; done`
	r := start(t, c.environ, "exec", "-c", c.declaration, "--", "sh", "-c", script)
	r.awaitOutput(now.line() + "\n")

	kills := map[string]int{}
	for begun := time.Now(); time.Since(begun) < outageTime(t); {
		doors, longest := map[string]*service{"KMS": c.kms}, 1500
		if n := random.IntN(5); n < 3 { // 0, 1: STS alone; 2: both
			doors[stsPlace], longest = c.sts, 2*int(sessionLife/time.Millisecond)
			if n < 2 {
				delete(doors, "KMS")
			}
		}
		rotate([]string{"a", "b", "c"}[random.IntN(3)]) // perhaps in the middle of its delivery
		for place, door := range doors {
			kills[place]++
			door.stop()
		}
		for end := time.Now().Add(time.Duration(random.IntN(longest)) * time.Millisecond); time.Now().Before(end); {
			rotate([]string{"a", "b", "c"}[random.IntN(3)])
			time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
		}
		for _, door := range doors {
			door.start(t, door.address)
		}
		r.await("delivery of "+now.line(), func() bool { return strings.HasSuffix(r.out.String(), now.line()+"\n") })
	}
	r.await("the end of every outage", func() bool {
		for _, told := range events(r.err.String()) {
			if strings.HasSuffix(told, "w") {
				return false
			}
		}
		return true
	})
	r.end(t)
	wantEvents(t, r.err.String(), kills)
	wantForward(t, r.out.String())
	if strings.Contains(r.err.String(), "level=ERROR") || strings.Count(r.err.String(), "program started") != 1 {
		t.Errorf("an error, or another start, in\n%s", r.err.String())
	}
	t.Logf("killed %v; rotated %v; told %v", kills, now, events(r.err.String()))
}

// wantForward wants no version to go back.
func wantForward(t *testing.T, output string) {
	t.Helper()
	var last [3]int
	for line := range strings.Lines(output) {
		var next [3]int
		if _, err := fmt.Sscanf(line, "has %d %d %d\n", &next[0], &next[1], &next[2]); err != nil {
			t.Errorf("the program showed %q", line)
		}
		for i := range next {
			if next[i] < last[i] {
				t.Errorf("a version went back: %v after %v", next, last)
			}
		}
		last = next
	}
}
