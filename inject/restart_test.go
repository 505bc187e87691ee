package inject

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

func TestPace(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(all ...time.Duration) (p pace) {
		for _, d := range all {
			p = append(p, now.Add(-d))
		}
		return p
	}
	for name, c := range map[string]struct {
		pace        pace
		min         time.Duration
		perHour     int
		wait        time.Duration
		wantLimited bool
	}{
		"the first restart waits for nothing": {nil, 10 * time.Second, 20, 0, false},
		"the second too early":                {ago(3 * time.Second), 10 * time.Second, 20, 7 * time.Second, false},
		"late enough":                         {ago(10 * time.Second), 10 * time.Second, 20, 0, false},
		"no interval":                         {ago(time.Second), 0, 0, 0, false},
		"the limit":                           {ago(50*time.Minute, 20*time.Minute), 0, 2, 10 * time.Minute, true},
		"the limit of older ones":             {ago(90*time.Minute, 20*time.Minute), 0, 2, 0, false},
		"no limit":                            {ago(3*time.Second, 2*time.Second, time.Second), 0, 0, 0, false},
		"the interval beyond the limit":       {ago(59*time.Minute+59*time.Second, 0), 10 * time.Second, 2, 10 * time.Second, false},
	} {
		at, limited := c.pace.next(now, config.OnChange{MinInterval: c.min, MaxPerHour: c.perHour})
		if at.Sub(now) != c.wait || limited != c.wantLimited {
			t.Errorf("%s: got %s %v, want %s %v", name, at.Sub(now), limited, c.wait, c.wantLimited)
		}
	}
	var p pace
	for i := range 50 {
		p = p.with(now.Add(time.Duration(i)*time.Second), config.OnChange{MaxPerHour: 3})
	}
	if len(p) != 3 || !p[2].Equal(now.Add(49*time.Second)) {
		t.Errorf("after 50 restarts: got %v, want the last 3", p)
	}
}

// TestMinInterval: a change that comes too early waits, and the newest wins.
func TestMinInterval(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, watched+"env: {A: kms://a}\non_change: {min_interval: 1s}", loops)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two") // the first restart does not wait
	v.put("a", "v3", "three")
	r.logs("the program will be stopped")
	v.put("a", "v4", "four")
	r.says("start four")
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Error(err)
	}
	if got, want := r.said(), "start one\nterm\nstart two\nterm\nstart four\nterm\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
}

func TestMaxPerHour(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, watched+"env: {A: kms://a}\non_change: {min_interval: 0s, max_per_hour: 1}", loops)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	v.put("a", "v3", "three")
	r.logs("restarts are put off: on_change.max_per_hour is reached")
	r.logs("the program will be stopped")
	v.put("a", "v4", "two") // what it was started with: no reason to restart any more
	r.logs("again what the program was started with")
	v.put("a", "v5", "five")
	r.await("the next plan", func() bool { return strings.Count(r.log.String(), "the program will be stopped") == 2 })
	r.signals <- syscall.SIGTERM // ends the program and the waiting
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want the program's own 3", status, err)
	}
	if got, want := r.said(), "start one\nterm\nstart two\nterm\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
	if n := strings.Count(r.log.String(), "restarts are put off"); n != 1 {
		t.Errorf("got %d warnings, want 1", n)
	}
}

func TestEndsPromptlyInSplay(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, watched+"env: {A: kms://a}\non_change: {splay: 1000h}", loops)
	r.says("start one")
	v.put("a", "v2", "two")
	r.logs("the program will be stopped")
	r.signals <- syscall.SIGTERM
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}

	// A program that ends by itself meanwhile ends us.
	v.put("a", "v1", "one")
	r = begin(t, v, watched+"env: {A: kms://a}\non_change: {splay: 1000h}", `trap 'exit 9' USR1; echo up >>$DIR/said; while :; do sleep 0.01; done`)
	r.says("up")
	v.put("a", "v2", "two")
	r.logs("the program will be stopped")
	r.signals <- syscall.SIGUSR1
	if status, err := r.wait(); err != nil || status.ExitCode() != 9 {
		t.Errorf("got %v %v, want 9", status, err)
	}
}

func TestPreStop(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+`env: {A: kms://a}
child: {pre_stop: [/bin/sh, -c, 'kill -HUP $MAINPID; while ! grep -q hup $DIR/said; do sleep 0.01; done; echo pre $A >>$DIR/said; exit 5']}`, loops)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	if got, want := r.said(), "start one\nhup\npre one\nterm\nstart two\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
	r.logs("child.pre_stop failed; stopping the program all the same")
	r.signals <- syscall.SIGTERM // asked by somebody else: no pre_stop
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}
	if n := strings.Count(r.said(), "pre"); n != 1 {
		t.Errorf("pre_stop ran %d times, want 1: %q", n, r.said())
	}
}

func TestPreStopThatHangs(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nchild: {stop_timeout: 100ms, pre_stop: [/bin/sh, -c, 'trap \"\" TERM; sleep 1000']}", loops)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	r.logs("child.pre_stop took longer than child.stop_timeout")
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Error(err)
	}

	// Who asks to end meanwhile need not wait for it.
	v.put("a", "v1", "one")
	r = begin(t, v, fast+"env: {A: kms://a}\nchild: {stop_timeout: 1h, pre_stop: [/bin/sh, -c, 'echo pre >>$DIR/said; sleep 1000']}", loops)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("pre")
	r.signals <- syscall.SIGTERM
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}
}

// TestEndsDuringPreStop: a program that ends by itself while pre_stop is at work has one
// end, and is started again, since that is what was about to happen.
func TestEndsDuringPreStop(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nchild: {stop_timeout: 1h, pre_stop: [/bin/sh, -c, 'kill -KILL $MAINPID; sleep 1000']}", loops)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	if got, want := r.said(), "start one\nstart two\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
	r.signals <- syscall.SIGTERM
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}
}

// TestRestartStopsTheGroup: what the program left of its group does not live on beside
// its successor, be it deaf to SIGTERM.
func TestRestartStopsTheGroup(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nchild: {stop_timeout: 1s}",
		`(trap '' TERM; echo $A >>$DIR/deaf; while :; do sleep 0.01; done) & echo $! >>$DIR/pids; `+loops)
	r.says("start one")
	r.await("the deaf one", func() bool { _, err := os.Stat(filepath.Join(r.dir, "deaf")); return err == nil })
	v.put("a", "v2", "two")
	r.says("start two")
	pids, _ := os.ReadFile(filepath.Join(r.dir, "pids"))
	first, err := strconv.Atoi(strings.Fields(string(pids))[0])
	if err != nil {
		t.Fatal(err)
	}
	r.await("the end of the first group", func() bool { return syscall.Kill(first, 0) == syscall.ESRCH })
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(-r.lastPID(), 0); err != nil {
		t.Errorf("after the end, where leftovers are left alone: got %v", err)
	}
	_ = syscall.Kill(-r.lastPID(), syscall.SIGKILL)
}

// lastPID is that of the program started last.
func (r *run) lastPID() int {
	r.t.Helper()
	text := r.log.String()
	text = text[strings.LastIndex(text, "program started"):]
	_, text, _ = strings.Cut(text, "pid=")
	text, _, _ = strings.Cut(text, " ")
	pid, err := strconv.Atoi(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return pid
}

func TestLeftoversStop(t *testing.T) {
	t.Parallel()
	r := begin(t, &vault{}, "child: {leftovers: stop}", `(trap 'echo left >>$DIR/said; exit' TERM; echo up >>$DIR/said; while :; do sleep 0.01; done) &
while ! grep -q up $DIR/said; do sleep 0.01; done 2>/dev/null; exit 4`)
	if status, err := r.wait(); err != nil || status.ExitCode() != 4 {
		t.Errorf("got %v %v, want 4", status, err)
	}
	if got, want := r.said(), "up\nleft\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestEndsPromptlyAmongLeftovers: who asks to end while a restart waits for what the
// program left gets the program's own status, and no new program.
func TestEndsPromptlyAmongLeftovers(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nchild: {stop_timeout: 1h}",
		`(trap '' TERM; echo up >>$DIR/deaf; while :; do sleep 0.01; done) & `+loops)
	r.says("start one")
	r.await("the deaf one", func() bool { _, err := os.Stat(filepath.Join(r.dir, "deaf")); return err == nil })
	v.put("a", "v2", "two")
	r.logs("stopping what is left of its process group")
	r.signals <- syscall.SIGUSR1 // for the next program, which there won't be
	r.signals <- syscall.SIGTERM
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}
	if strings.Contains(r.said(), "two") {
		t.Errorf("the program was started again: %q", r.said())
	}
}

// TestLeavesRunningWhatCannotStartAgain: the command is gone, so the running program
// is better than none.
func TestLeavesRunningWhatCannotStartAgain(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := prepare(t, v, fast+"env: {A: kms://a}", "")
	program := filepath.Join(r.dir, "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+loops), 0o700); err != nil {
		t.Fatal(err)
	}
	r.exec.Argv = []string{program}
	go func() {
		r.status, r.err = r.exec.Run()
		close(r.ended)
	}()
	r.says("start one")
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	v.put("a", "v2", "two")
	r.logs("the program could not be started again; leaving it running")
	r.signals <- syscall.SIGHUP
	r.says("hup")
	r.signals <- syscall.SIGTERM
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}
	if strings.Contains(r.said(), "term\nstart") {
		t.Errorf("the program was stopped: %q", r.said())
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ user, group, want string }{
		{"nobody-of-that-name", "", `child.user: no user "nobody-of-that-name": want a name in /etc/passwd, or a number`},
		{"", "none-of-that-name", `child.group: no group "none-of-that-name": want a name in /etc/group, or a number`},
		{"4123456", "", "child.user: nothing here knows the group of user 4123456: want child.group too"},
	} {
		if _, err := identityOf(c.user, c.group); err == nil || err.Error() != c.want {
			t.Errorf("%s %s: got %v, want %s", c.user, c.group, err, c.want)
		}
	}
	who, err := identityOf("4123456", "4123457")
	if err != nil || who.credential.Uid != 4123456 || who.credential.Gid != 4123457 || len(who.credential.Groups) != 0 {
		t.Errorf("got %+v %v, want the numbers and no other groups", who.credential, err)
	}
	root, err := identityOf("root", "")
	if err != nil || root.credential.Uid != 0 || !strings.HasPrefix(strings.Join(root.over([]string{"HOME=/home/a", "A=b"}), " "), "A=b HOME=/root") {
		t.Errorf("got %+v %v, want root's", root, err)
	}
}

// TestEndsPromptlyInDebounce: a change waits for its companions.
func TestEndsPromptlyInDebounce(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	var polls atomic.Int64
	r := prepare(t, v, "watch: {interval: 100ms, debounce: 1000h, debounce_max: 1000h}\nenv: {A: kms://a}", loops)
	r.exec.Fetch = func(ctx context.Context, id secret.ID) (secret.Value, error) {
		value, err := v.get(ctx, id)
		if value.Version == "v2" {
			polls.Add(1)
		}
		return value, err
	}
	r.exec = NewExec(r.exec.Plan)
	go func() {
		r.status, r.err = r.exec.Run()
		close(r.ended)
	}()
	r.says("start one")
	v.put("a", "v2", "two")
	r.await("the change", func() bool { return polls.Load() > 0 })
	r.signals <- syscall.SIGTERM
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}
}
