package inject

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// dies is a program that can't live with a bad value, in its environment or its file.
const dies = `trap 'echo term >>$DIR/said; exit 0' TERM; trap 'echo hup >>$DIR/said' HUP; echo "start $A" >>$DIR/said
case $A in bad*) exit 7;; good) exit 0;; esac; while :; do sleep 0.01; done`

func (r *run) end() Status {
	r.t.Helper()
	r.signals <- syscall.SIGTERM
	status, err := r.wait()
	if err != nil {
		r.t.Error(err)
	}
	return status
}

func (r *run) file(name string) string {
	dir := r.files
	if dir == "" {
		dir = r.exec.Config.Files.Dir
	}
	text, _ := os.ReadFile(filepath.Join(dir, name)) // not there
	return string(text)
}

// polls waits for so many reads.
func (r *run) polls(v *vault, n int) {
	r.t.Helper()
	before := v.reads()
	r.await("polls", func() bool { return v.reads() >= before+n })
}

func (v *vault) reads() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count
}

// TestRollback: a program that dies of a change gets its old secrets again, files and
// all; the versions are held back, others are not; a newer one is taken.
func TestRollback(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	v.put("f", "v1", "one")
	v.put("b", "v1", "one")
	r := begin(t, v, watched+"on_change: {min_interval: 1h, files: none}\nenv: {A: kms://a}\nfiles: {items: {f: kms://f, b: kms://b}}\nhealth: {settle: 3s}", dies)
	r.says("start one")
	v.put("a", "v2", "bad")
	v.put("f", "v2", "bad")
	r.says("start bad")
	r.logs("reason=rollback") // be min_interval an hour
	if got := r.file("f"); got != "one" {
		t.Errorf("the file after the rollback: got %q, want one", got)
	}
	v.put("b", "v2", "two")
	r.await("the other secret", func() bool { return r.file("b") == "two" })
	r.polls(v, 9)
	if got, want := r.said(), "start one\nterm\nstart bad\nstart one\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
	status := r.exec.status()
	if len(status.Held) != 2 || !strings.HasPrefix(status.Held[0], "a version v2: the program ended with status 7") || r.file("f") != "one" {
		t.Errorf("held: got %q, and the file %q", status.Held, r.file("f"))
	}
	r.end()
}

// TestTakesTheNextVersion: what was held back is replaced, and the program settles.
func TestTakesTheNextVersion(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nhealth: {settle: 3s}", dies)
	r.says("start one")
	v.put("a", "v2", "bad")
	r.await("the rollback", func() bool { return strings.Count(r.said(), "start one\n") == 2 })
	v.put("a", "v3", "three")
	r.says("start three")
	r.logs("the program does well with the new secrets")
	if held := r.exec.status().Held; len(held) != 0 {
		t.Errorf("held: got %q, want nothing", held)
	}
	r.end()
	if got, want := r.said(), "start one\nterm\nstart bad\nstart one\nterm\nstart three\nterm\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
}

// TestNoRollback: what is none, each with the status that kmsrun ends with.
func TestNoRollback(t *testing.T) {
	t.Parallel()
	const ends = `trap 'exit 5' INT; trap 'exit 0' TERM; echo "start $A" >>$DIR/said; while :; do sleep 0.01; done`
	for name, c := range map[string]struct {
		first, second, script string
		want                  int
		interactive           bool // where ^C alone does not mean that we shall end
	}{
		"exit 0":        {"one", "good", dies, 0, false},
		"a first start": {"bad", "", dies, 7, false},
		"that dies too": {"one", "bad", `trap 'exit 0' TERM; echo "start $A" >>$DIR/said; [ -e $DIR/dead ] && exit 8
			[ $A = bad ] && { touch $DIR/dead; exit 7; }; while :; do sleep 0.01; done`, 8, false},
		"after a forwarded signal": {"one", "two", ends, 5, false},
		"after ^C":                 {"one", "two", ends, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &vault{}
			v.put("a", "v1", c.first)
			r := prepare(t, v, fast+"env: {A: kms://a}", c.script)
			r.exec.Interactive = c.interactive
			r.start()
			r.says("start " + c.first)
			if c.second != "" {
				v.put("a", "v2", c.second)
				r.says("start " + c.second)
			}
			if c.want == 5 {
				r.signals <- syscall.SIGINT
			}
			status, err := r.wait()
			if err != nil || status.ExitCode() != c.want {
				t.Errorf("got %v %v, want %d", status, err, c.want)
			}
		})
	}
}

// TestHealth: a program that lives but does not answer gets its old secrets again,
// after a restart or a signal.
func TestHealth(t *testing.T) {
	t.Parallel()
	var healthy atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	for name, c := range map[string]struct{ check, files, why string }{
		"http after a restart": {"http: " + server.URL, "restart", "the answer is 503"},
		"tcp after a signal":   {`tcp: "` + closed.Addr().String() + `"`, "SIGHUP", "connection refused"},
		"exec":                 {`exec: [sh, -c, 'echo it says $A; exit 3']`, "SIGHUP", `"sh\" ended with status 3: it says ***`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &vault{}
			v.put("f", "v1", "one")
			v.put("a", "v1", "s3cr3t")
			r := begin(t, v, watched+"on_change: {min_interval: 1h, files: "+c.files+"}\nenv: {A: kms://a}\nfiles: {items: {f: kms://f}}\nhealth: {settle: 50ms, within: 3s, interval: 50ms, "+c.check+"}", dies)
			r.says("start s3cr3t")
			v.put("f", "v2", "two")
			r.await("the new file", func() bool { return r.file("f") == "two" })
			r.await("the rollback", func() bool { return strings.Contains(r.log.String(), "reason=rollback") })
			if r.file("f") != "one" || !strings.Contains(r.log.String(), c.why) {
				t.Errorf("the file is %q, want one; the log wants %s", r.file("f"), c.why)
			}
			r.logs("the health check did not pass within 3s")
			if strings.Contains(r.log.String(), "s3cr3t") {
				t.Error("a value is in the log")
			}
			r.end()
		})
	}
}

func TestHealthPasses(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nhealth: {settle: 100ms, within: 30s, interval: 20ms, exec: [test, -e, /dev/null]}", dies)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	r.logs("the program does well with the new secrets")
	r.end()
}

// TestVerify: what a command refuses is not seen by anybody, and not tried again; the
// next version is.
func TestVerify(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			v := &vault{}
			v.put("f", "v1", "one")
			v.put("g", "v1", "one")
			v.put("a", "v1", "env-one")
			r := begin(t, v, watched+"on_change: {files: SIGHUP}\nenv: {A: kms://a}\nfiles: {items: {f: kms://f, g: kms://g}}\n"+
				`verify: {when: `+when+`, exec: [sh, -c, 'echo tried >>$DIR/tried; cat $SECRETS_DIR/f; grep -qv bad $SECRETS_DIR/f']}`, dies)
			r.says("start env-one")
			v.put("f", "v2", "bad s3cr3t")
			r.logs(`ended with status 1: ***`)
			r.logs("a version is held back")
			r.await("the present file", func() bool { return r.file("f") == "one" })
			v.put("g", "v2", "two")
			r.says("hup")
			if r.file("f") != "one" || r.file("g") != "two" {
				t.Errorf("got %q and %q, want one and two", r.file("f"), r.file("g"))
			}
			tried, _ := os.ReadFile(filepath.Join(r.dir, "tried"))
			v.put("f", "v3", "three")
			r.await("the next version", func() bool { return r.file("f") == "three" })
			r.await("two signals", func() bool { return strings.Count(r.said(), "hup") == 2 })
			if got := strings.Count(string(tried), "tried"); got != 2 {
				t.Errorf("tried %d times before the third version, want 2", got)
			}
			if strings.Contains(r.log.String(), "s3cr3t") {
				t.Error("a value is in the log")
			}
			r.end()
		})
	}
}

// TestVerifyThatHangs ends with the program, and leaves nothing.
func TestVerifyThatHangs(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := begin(t, v, watched+"files: {items: {f: kms://f}}\nverify: {timeout: 1h, when: after, exec: [sh, -c, 'echo >$DIR/began; sleep 1000']}", dies)
	r.says("start ")
	v.put("f", "v2", "two")
	r.await("the verification", func() bool { _, err := os.Stat(filepath.Join(r.dir, "began")); return err == nil })
	if status := r.end(); status.ExitCode() != 0 {
		t.Errorf("got %v, want 0", status)
	}
}

// TestHold: nothing is flipped or restarted, and the newest waits.
func TestHold(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	v.put("f", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nfiles: {items: {f: kms://f}}", dies)
	r.says("start one")
	r.exec.State().Hold(true)
	r.logs("on hold")
	v.put("a", "v2", "two")
	v.put("f", "v2", "two")
	r.polls(v, 12)
	v.put("a", "v3", "three")
	r.polls(v, 12)
	if !r.exec.status().OnHold || r.file("f") != "one" || r.said() != "start one\n" {
		t.Errorf("on hold: the file is %q, the program said %q", r.file("f"), r.said())
	}
	r.exec.State().Hold(false)
	r.says("start three")
	if r.exec.status().OnHold || r.file("f") != "two" || strings.Contains(r.said(), "two") {
		t.Errorf("released: the file is %q, the program said %q", r.file("f"), r.said())
	}
	r.end()
}

// TestHoldDuringMinInterval: a restart that is planned waits for the release.
func TestHoldDuringMinInterval(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, watched+"env: {A: kms://a}\non_change: {min_interval: 500ms}", dies)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	v.put("a", "v3", "three")
	r.logs("the program will be stopped")
	r.exec.State().Hold(true)
	r.polls(v, 10)
	if strings.Contains(r.said(), "three") {
		t.Errorf("restarted on hold: %q", r.said())
	}
	r.exec.State().Hold(false)
	r.says("start three")
	r.end()
}

// TestNewerSupersedes: a program that dies while a newer version waits for its turn is
// started with that one; if that is bad too, with what was proven.
func TestNewerSupersedes(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	waits := strings.Replace(dies, "exit 7", "while ! [ -e $DIR/die ]; do sleep 0.01; done; exit 7", 1)
	r := begin(t, v, watched+"env: {A: kms://a}\non_change: {min_interval: 1h}", waits)
	r.says("start one")
	v.put("a", "v2", "bad")
	r.says("start bad")
	v.put("a", "v3", "bad-again")
	r.logs("the program will be stopped")
	if err := os.WriteFile(filepath.Join(r.dir, "die"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.logs("reason=rollback")
	r.await("the proven secrets", func() bool { return strings.HasSuffix(r.said(), "start bad\nstart bad-again\nstart one\n") })
	r.end()
}

// TestWorstWins: of several actions for one change, and who is told by them.
func TestWorstWins(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	v.put("g", "v1", "one")
	v.put("t", "v1", "one")
	v.put("n", "v1", "one")
	touched := filepath.Join(t.TempDir(), "touched")
	r := begin(t, v, watched+"on_change: {files: SIGHUP}\nfiles: {items: {f: {from: kms://f, on_change: {exec: [sh, -c, 'echo exec $(cat $SECRETS_DIR/f) >>$DIR/told']}}, g: kms://g, t: {from: kms://t, on_change: {touch: "+touched+"}}, n: {from: kms://n, on_change: none}}}", dies)
	r.says("start ")
	if _, err := os.Stat(filepath.Join(r.dir, "told")); err == nil {
		t.Error("the first rendering told somebody")
	}
	v.put("n", "v2", "two")
	r.await("the file of no action", func() bool { return r.file("n") == "two" })
	v.put("t", "v2", "two")
	r.await("the touch", func() bool { _, err := os.Stat(touched); return err == nil })
	v.put("f", "v2", "two")
	v.put("g", "v2", "two")
	r.await("the command", func() bool { text, _ := os.ReadFile(filepath.Join(r.dir, "told")); return string(text) == "exec two\n" })
	r.await("its result", func() bool { a := r.exec.status().Action; return a != nil && a.Action == "exec" && a.Result == "ok" })
	v.put("g", "v3", "three")
	r.says("hup")
	r.end()
	if got, want := r.said(), "start \nhup\nterm\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
}

// TestExit: the program is stopped for a change, and we end with its status. The new files
// are there before it is asked to end, and no other program is started.
func TestExit(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, watched+"env: {A: kms://a, F: '${files_dir}/f'}\nfiles: {items: {f: kms://a}}\non_change: {env: exit, files: restart}",
		`trap 'cat $F >>$DIR/said; exit 6' TERM; echo "start $A" >>$DIR/said; while :; do sleep 0.01; done`)
	r.says("start one")
	v.put("a", "v2", "two")
	if status, err := r.wait(); err != nil || status.ExitCode() != 6 {
		t.Errorf("got %v %v, want the program's own 6", status, err)
	}
	if got := r.said(); got != "start one\ntwo" {
		t.Errorf("the program said %q", got)
	}
}

// TestSettlesWhileANewerWaits: what the program did well with is what a rollback goes
// back to, and not what it was about to get.
func TestSettlesWhileANewerWaits(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, watched+"env: {A: kms://a}\non_change: {min_interval: 4s}\nhealth: {settle: 2s}", dies)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	v.put("a", "v3", "bad")
	r.logs("the program will be stopped")
	r.logs("the program does well with the new secrets")
	r.logs("reason=rollback")
	r.await("the proven secrets", func() bool { return strings.HasSuffix(r.said(), "start bad\nstart two\n") })
	r.end()
}

// TestDiesOfASignal: a program that can't read its new files gets the old ones again.
func TestDiesOfASignal(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := begin(t, v, watched+"on_change: {files: SIGHUP}\nenv: {F: \"${files_dir}/f\"}\nfiles: {items: {f: kms://f}}",
		`trap 'exit 0' TERM; trap 'grep -q bad $F && exit 9; echo reloaded >>$DIR/said' HUP; echo "start $(cat $F)" >>$DIR/said; while :; do sleep 0.01; done`)
	r.says("start one")
	v.put("f", "v2", "bad")
	r.logs("reason=rollback")
	r.await("the second start", func() bool { return r.said() == "start one\nstart one\n" })
	v.put("f", "v3", "three")
	r.says("reloaded")
	r.end()
}
