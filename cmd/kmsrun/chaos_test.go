//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/emulator"
)

const chaosDeclaration = `
kms: {timeout: 500ms, start_timeout: 2s, rate_limit: 1000}
env: {A: kms://a}
files: {dir: %[1]s, grace: 200ms, items: {a1: kms://a, a2: kms://a, b: kms://b}}
watch: {interval: 100ms, debounce: 20ms, debounce_max: 200ms}
on_change: {files: SIGHUP, min_interval: 0s, max_per_hour: 0}
verify: {exec: [sh, -c, '! grep -q refused $SECRETS_DIR/b']}
health: {settle: 100ms}
http: {listen: "unix:%[2]s"}
log: {level: warn}
`

// chaos is a kmsrun to which everything happens, with an orchestrator that starts it
// again, and two secrets that rotate.
type chaos struct {
	t      *testing.T
	s      *service
	dice   *rand.Rand
	r      *running
	args   []string
	env    []string
	said   string
	socket string
	files  string
	tiny   bool // files are on a filesystem that can be full

	n          int // of the newest version
	a, b       string
	since      int // puts since this kmsrun was started
	early      footprint
	lives      int
	delivered  []time.Duration
	rolledBack int  // in all
	undone     int  // in this life
	spoilt     int  // rounds with a bad value and nothing else
	hindered   bool // by what happens already
}

// TestChaos: rotations under every fault that the emulator knows, kills of kmsrun, crashes
// of its program, a full disk, values that the program can't live with and values that are
// refused. In make soak for KMSRUN_TEST_CHAOS.
func TestChaos(t *testing.T) {
	t.Parallel()
	c := newChaos(t)
	deadline := time.Now()
	if d, err := time.ParseDuration(os.Getenv("KMSRUN_TEST_CHAOS")); err == nil {
		deadline = deadline.Add(d)
	}
	all := c.disturbances()
	rounds := 0
	for ; rounds == 0 || time.Now().Before(deadline); rounds++ {
		for _, i := range c.dice.Perm(len(all)) {
			happens := []disturbance{all[i]}
			if also := all[c.dice.IntN(len(all))]; c.dice.IntN(3) == 0 && also.name != all[i].name {
				happens = append(happens, also)
			}
			c.cycle(happens)
		}
	}
	worst := c.delivered[0]
	var sum time.Duration
	for _, d := range c.delivered {
		worst, sum = max(worst, d), sum+d
	}
	t.Logf("%d rounds of %d disturbances, %d versions, %d lives of kmsrun, %d rollbacks; delivered within %s, on average %s",
		rounds, len(all), c.n, c.lives, c.rolledBack, worst.Round(time.Millisecond), (sum / time.Duration(len(c.delivered))).Round(time.Millisecond))
	if c.rolledBack == 0 && c.spoilt > 0 {
		t.Error("no change was ever undone")
	}
	_ = c.r.Process.Signal(syscall.SIGTERM)
	c.r.wait()
	if got := c.text(); strings.Contains(got, "MIXED") {
		t.Errorf("a mixed set: %s", regexp.MustCompile(`(?m)^MIXED.*`).FindString(got))
	}
}

func newChaos(t *testing.T) *chaos {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := &chaos{t: t, s: newService(t), dice: rand.New(rand.NewPCG(seed, 0)), said: filepath.Join(t.TempDir(), "said"), files: shm(t)}
	program := filepath.Join(t.TempDir(), "soaked")
	cmd := exec.Command("go", "build", "-trimpath", "-o", program, "./testdata/soaked")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, output)
	}
	c.tiny = unix.Mount("tmpfs", c.files, "tmpfs", 0, "mode=0700,size=256k") == nil
	if !c.tiny {
		t.Log("SKIPPED, AND NOT TESTED: a full disk: no leave to mount a tmpfs")
	} else {
		t.Cleanup(func() { _ = unix.Unmount(c.files, unix.MNT_DETACH) })
	}
	c.socket = filepath.Join(shm(t), "http.sock")
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, chaosDeclaration, c.files, c.socket), 0o600); err != nil {
		t.Fatal(err)
	}
	c.args = []string{"exec", "-c", file, "--", program}
	c.env = c.s.environ("SAID="+c.said, "FILES="+c.files)
	c.rotate("a", "good")
	c.rotate("b", "good")
	c.begin()
	c.deliver()
	return c
}

func (c *chaos) begin() {
	c.lives++
	c.since, c.undone, c.early = 2, 0, footprint{}
	c.r = start(c.t, c.env, c.args...)
}

func (c *chaos) text() string {
	text, _ := os.ReadFile(c.said)
	return string(text)
}

// rotate makes a new version: good, bad or refused.
func (c *chaos) rotate(name, kind string) {
	c.n++
	c.since++
	value := kind + "-" + strconv.Itoa(c.n)
	c.s.put(c.t, name, "v"+strconv.Itoa(c.n), value)
	if name == "a" {
		c.a = value
	} else {
		c.b = value
	}
}

// deliver awaits that the program sees the newest versions of both. Kmsrun is started
// again as often as it takes.
func (c *chaos) deliver() {
	c.t.Helper()
	began := time.Now()
	poke := time.Now()
	for !strings.HasSuffix(c.text(), c.newest()) {
		select {
		case <-c.r.ended:
			c.begin()
		default:
		}
		for _, name := range []string{"a", "b"} {
			if c.heldBack(name) {
				c.rotate(name, "good")
			}
		}
		if time.Since(poke) > 300*time.Millisecond { // a refused read is not tried again for minutes
			_, _ = get(c.t, c.socket, http.MethodPost, "/-/refresh")
			poke = time.Now()
		}
		if time.Since(began) > patience {
			c.t.Fatalf("waited in vain for %s; the last of what the program said:\n%s\nstderr:\n%s", c.newest(), last(c.text(), 500), last(c.r.err.String(), 3000))
		}
		time.Sleep(2 * time.Millisecond)
	}
	c.delivered = append(c.delivered, time.Since(began))
}

// newest is what the program says when it sees the newest of all.
func (c *chaos) newest() string { return fmt.Sprintln("see", c.a, c.a, c.b) }

// heldBack tells whether the newest version of a secret is held back: where one was read
// just before it became good, and the other just after, both were one change, and were
// undone together.
func (c *chaos) heldBack(name string) bool {
	value := map[string]string{"a": c.a, "b": c.b}[name]
	return strings.Contains(c.r.err.String(), "secret=kms://"+name+" version=v"+strings.TrimPrefix(value, "good-")+" why=")
}

func last(text string, n int) string { return text[max(len(text)-n, 0):] }

// cycle lets something happen, rotates meanwhile, heals, and looks.
func (c *chaos) cycle(happens []disturbance) {
	c.t.Helper()
	var names []string
	var heal []func()
	for i, d := range happens {
		c.hindered = i > 0
		names, heal = append(names, d.name), append(heal, d.do())
	}
	select {
	case <-c.r.ended:
		c.begin() // in the midst of it
	default:
	}
	for range 1 + c.dice.IntN(3) {
		time.Sleep(time.Duration(c.dice.IntN(60)) * time.Millisecond) // some land in the midst of another change
		c.rotate([]string{"a", "b"}[c.dice.IntN(2)], "good")
	}
	time.Sleep(time.Duration(c.dice.IntN(150)) * time.Millisecond)
	for _, f := range heal {
		f()
	}
	if len(happens) == 1 && happens[0].name == badValue {
		c.spoilt++
	}
	c.rotate("a", "good")
	c.rotate("b", "good")
	c.deliver()
	c.look(strings.Join(names, " and "))
}

// look holds the invariants against a kmsrun that has delivered everything.
func (c *chaos) look(name string) {
	c.t.Helper()
	if strings.Contains(c.text(), "MIXED") {
		c.t.Errorf("%s: a mixed set", name)
	}
	_, metrics := get(c.t, c.socket, http.MethodGet, "/metrics")
	count := func(series string) int {
		m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\d+)$`).FindStringSubmatch(metrics)
		if m == nil {
			return 0
		}
		n, _ := strconv.Atoi(m[1])
		return n
	}
	published, undone := count(`kmsrun_generations_total{result="published"}`), count(`kmsrun_generations_total{result="rolled_back"}`)
	actions := count(`kmsrun_child_starts_total{reason="change"}`) + count(`kmsrun_child_signals_total{reason="change"}`)
	if back := count(`kmsrun_child_starts_total{reason="rollback"}`); actions > published || back > undone || published > c.since {
		c.t.Errorf("%s: got %d actions and %d published of %d changes, %d starts for %d rollbacks", name, actions, published, c.since, back, undone)
	}
	c.rolledBack += undone - c.undone
	c.undone = undone
	pid := c.r.Process.Pid
	c.r.await("no zombies after "+name, func() bool { return footprintOf(c.t, pid).zombies == 0 })
	c.r.await("old generations to be swept after "+name, func() bool {
		generations, _ := filepath.Glob(filepath.Join(c.files, "..20*"))
		return len(generations) <= 1
	})
	now := footprintOf(c.t, pid)
	switch early := c.early; {
	case early.files == 0:
		c.early = now
	case now.files > early.files+20 || now.threads > early.threads+20: // connections that idle among them
		c.t.Errorf("%s: grown: got %+v, had %+v", name, now, early)
	}
	if line := chaosValue.FindString(c.r.err.String()); line != "" {
		c.t.Errorf("%s: a value is in the log: %s", name, line)
	}
}

// disturbance is something that happens, until it is healed.
type disturbance struct {
	name string
	do   func() (heal func())
}

const badValue = "a bad value"

func (c *chaos) disturbances() []disturbance {
	nothing := func() {}
	all := []disturbance{
		{"nothing", func() func() { return nothing }},
		{"kill -9 of kmsrun", func() func() { _ = c.r.Process.Kill(); <-c.r.ended; return nothing }},
		{"a crash of the program", func() func() { c.crash(); return nothing }},
		{badValue, func() func() {
			c.rotate("a", "bad")
			began := time.Now()
			c.awaitEndOr(func() bool {
				return strings.Contains(c.text(), " "+c.a+"\n") || c.hindered && time.Since(began) > time.Second
			})
			return nothing
		}},
		{"a refused value", func() func() { c.rotate("b", "refused"); time.Sleep(200 * time.Millisecond); return nothing }},
		{"an outage", func() func() { c.s.stop(); return func() { c.s.start(c.t, c.s.address) } }},
	}
	if c.tiny {
		all = append(all, disturbance{"a full disk", c.fill})
	}
	for _, kind := range kinds() {
		all = append(all, disturbance{kind, func() func() {
			fault := emulator.Fault{Kind: kind, Rate: 0.2 + 0.8*c.dice.Float64(), Seed: 1 + c.dice.Uint64N(1000)}
			if kind == "latency" {
				fault.Duration = emulator.Duration(time.Duration(c.dice.IntN(300)+1) * time.Millisecond)
			}
			if err := c.s.Fault(fault); err != nil {
				c.t.Fatal(err)
			}
			return c.s.ClearFaults
		}})
	}
	return all
}

// chaosValue is a line that holds a value of ours.
var chaosValue = regexp.MustCompile(`(?m)^.*(good-|bad-|refused-).*$`)

// kinds are all faults that the emulator knows, as it says itself.
func kinds() []string {
	_, err := emulator.ParseFault("kind=?")
	_, list, _ := strings.Cut(err.Error(), "known are ")
	return strings.Split(list, ", ")
}

// awaitEndOr waits for a condition, or the end of kmsrun.
func (c *chaos) awaitEndOr(condition func() bool) {
	c.t.Helper()
	c.r.await("what happens", func() bool {
		select {
		case <-c.r.ended:
			return true
		default:
			return condition()
		}
	})
}

func (c *chaos) crash() {
	starts := regexp.MustCompile(`(?m)^start (\d+) `).FindAllStringSubmatch(c.text(), -1)
	pid, _ := strconv.Atoi(starts[len(starts)-1][1])
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if !strings.Contains(string(status), fmt.Sprintf("\nPPid:\t%d\n", c.r.Process.Pid)) {
		return // it has ended already
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func (c *chaos) fill() func() {
	file := filepath.Join(c.files, "filler")
	f, err := os.Create(file)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	for page := make([]byte, 4096); err == nil; {
		_, err = f.Write(page)
	}
	return func() { _ = os.Remove(file) }
}
