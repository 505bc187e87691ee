//go:build linux

package proc

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

const patience = 20 * time.Second

// table is that of the test's process, which can have one only; and so nothing here
// may use os/exec.
var table = sync.OnceValue(New)

// shell is the spec of a script; its output goes to the returned file.
func shell(t testing.TB, script string) (Spec, func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	spec := Spec{Path: "/bin/sh", Argv: []string{"sh", "-c", script}, Environ: []string{"PATH=/bin:/usr/bin"}}
	spec.Files[1] = file
	return spec, func() string {
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func begin(t testing.TB, spec Spec) *Process {
	t.Helper()
	p, err := table().Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.SignalGroup(syscall.SIGKILL) })
	return p
}

func end(t testing.TB, p *Process) Status {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatalf("process %d did not end", p.PID())
	}
	return p.Status()
}

func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{
		"exit 0": 0, "exit 1": 1, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137, "kill -SEGV $$": 139, "kill -40 $$": 168,
	} {
		spec, _ := shell(t, script)
		if got := end(t, begin(t, spec)).ExitCode(); got != want {
			t.Errorf("%s: got %d, want %d", script, got, want)
		}
	}
}

// TestNoStatusIsLost: thousands of short-lived children, and of orphans that nobody
// knows, beside a main one.
func TestNoStatusIsLost(t *testing.T) {
	t.Parallel()
	spec, output := shell(t, `trap 'exit 77' TERM; i=0; while [ $i -lt 500 ]; do (true & ) ; i=$((i+1)); done; echo spawned; while :; do sleep 0.01; done`)
	main := begin(t, spec)
	const workers, each = 10, 1000 // 10,000 in all
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range each {
				want := (w*each + i) % 256
				spec := Spec{Path: "/bin/sh", Argv: []string{"sh", "-c", "exit " + strconv.Itoa(want)}}
				p, err := table().Start(spec)
				if err != nil {
					t.Error(err)
					return
				}
				if got := end(t, p); got != (Status{Code: want}) {
					t.Errorf("got %v, want exit %d", got, want)
					return
				}
			}
		})
	}
	all.Wait()
	await(t, "the orphans", func() bool { return strings.Contains(output(), "spawned") })
	if err := main.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := end(t, main); got.Code != 77 {
		t.Errorf("the main one: got %v, want 77", got)
	}
}

// TestOrphans: what outlives its parent is reaped by us.
func TestOrphans(t *testing.T) {
	t.Parallel()
	spec, output := shell(t, `(setsid sh -c 'echo $$; exec sleep 1000' &) ; exit 3`)
	if got := end(t, begin(t, spec)); got.Code != 3 {
		t.Errorf("the parent: got %v, want 3", got)
	}
	await(t, "the orphan", func() bool { return strings.HasSuffix(output(), "\n") })
	orphan, err := strconv.Atoi(strings.TrimSpace(output()))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the orphan to be ours", func() bool { return parent(orphan) == os.Getpid() })
	if err := syscall.Kill(orphan, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the orphan to be reaped", func() bool { return syscall.Kill(orphan, 0) == syscall.ESRCH })
}

func parent(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, text, _ = bytes.Cut(text, []byte(") "))
	fields := strings.Fields(string(text) + " x x x")
	id, _ := strconv.Atoi(fields[1])
	return id
}

func TestFailures(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o755); err != nil {
		t.Fatal(err)
	}
	ignoring := asfound.State{Ignored: asfound.Set(0).With(int(syscall.SIGHUP))} // by way of a stage
	for path, want := range map[string]error{"/no/such": syscall.ENOENT, "/etc": syscall.EACCES, text: syscall.ENOEXEC} {
		for _, state := range []asfound.State{{}, ignoring} {
			p, err := table().Start(Spec{Path: path, Argv: []string{path}, Signals: state})
			if !errors.Is(err, want) || p != nil {
				t.Errorf("%s %v: got %v %v, want %v", path, state, p, err, want)
			}
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	script := `(trap 'echo down; exit' TERM; echo up; while :; do sleep 0.01; done) & while :; do sleep 0.01; done`
	spec, output := shell(t, script)
	p := begin(t, spec)
	if group, err := syscall.Getpgid(p.PID()); group != p.PID() || !p.OwnGroup() {
		t.Errorf("got group %d %v, want its own", group, err)
	}
	await(t, "the background", func() bool { return output() == "up\n" })
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	end(t, p)
	if !p.GroupLeft() {
		t.Error("after the leader's end: got nothing left of its group")
	}
	if err := p.SignalGroup(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, "the group's end", func() bool { return !p.GroupLeft() })
	if output() != "up\ndown\n" {
		t.Errorf("got %q, want up and down", output())
	}
	for _, err := range []error{p.Signal(syscall.SIGTERM), p.SignalGroup(syscall.SIGTERM)} {
		if err != nil {
			t.Errorf("a signal that comes too late: got %v", err)
		}
	}
	spec, _ = shell(t, "exit 0")
	spec.Group = OurGroup
	if p := begin(t, spec); p.OwnGroup() || p.GroupLeft() {
		t.Error("in our group: got a group of its own")
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	spec, _ := shell(t, `kill -TSTP $$; exit 6`)
	p := begin(t, spec)
	select {
	case s := <-p.Stopped():
		if s != syscall.SIGTSTP {
			t.Errorf("got %v, want SIGTSTP", s)
		}
	case <-time.After(patience):
		t.Fatal("nobody heard of the stop")
	}
	if err := p.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := end(t, p); got.Code != 6 {
		t.Errorf("got %v, want 6", got)
	}
}

// TestInherit: a file of ours under its own number, for that program alone, with and
// without a stage.
func TestInherit(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	number := file.Fd()
	for _, pids := range [][]string{nil, {"LISTEN_PID"}} {
		spec, output := shell(t, fmt.Sprintf("[ -e /proc/self/fd/%d ] && echo here; echo $LISTEN_PID $$", number))
		spec.Inherit, spec.PIDs = []*os.File{file}, pids
		spec.Environ = append(spec.Environ, "LISTEN_PID=1")
		p := begin(t, spec)
		end(t, p)
		listen := 1
		if pids != nil {
			listen = p.PID()
		}
		if want := fmt.Sprintf("here\n%d %d\n", listen, p.PID()); output() != want {
			t.Errorf("%v: got %q, want %q", pids, output(), want)
		}
		spec.Inherit = nil
		end(t, begin(t, spec))
		if strings.Count(output(), "here") != 1 {
			t.Errorf("another program: got %q, want no such file", output())
		}
	}
	if flags, err := unix.FcntlInt(number, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the file afterwards: got flags %d %v, want close-on-exec", flags, err)
	}
}

// TestSockets: descriptors in the wrong order, where the program is to find others of
// them, come to it as 3, 4 …, and under no other number; nor do our commands get them.
func TestSockets(t *testing.T) {
	t.Parallel()
	var sockets []int
	want := ""
	for i := range 40 {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte(strconv.Itoa(i)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		number, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 20)
		_ = file.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(number) })
		sockets = append([]int{number}, sockets...)
		want = strconv.Itoa(i) + "\n" + want
	}
	script := `for n in $(seq 3 42); do cat /proc/$$/fd/$n; done; for n in $(seq 43 99); do [ ! -e /proc/$$/fd/$n ] || echo stray $n; done; [ $LISTEN_PID = $$ ] && echo mine`
	spec, output := shell(t, script)
	spec.Sockets, spec.PIDs = sockets, []string{"LISTEN_PID"}
	spec.Environ = append(spec.Environ, "LISTEN_PID=1")
	end(t, begin(t, spec))
	if got := output(); got != want+"mine\n" {
		t.Errorf("got %q, want %q", got, want+"mine\n")
	}
	spec, output = shell(t, `cat /proc/$$/fd/42; true`)
	end(t, begin(t, spec))
	if got := output(); strings.TrimSpace(got) != "" {
		t.Errorf("another program got %q", got)
	}
}

// TestForkHitsNoDescriptor: what the fork puts on a number of its own choice, where lower
// ones are free, is nothing that the program gets.
func TestForkHitsNoDescriptor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "socket")
	if err := os.WriteFile(socket, []byte("whole\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 20 {
		var below []*os.File
		for range 10 {
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			below = append(below, null)
		}
		spec, output := shell(t, "cat /proc/$$/fd/3; echo $LISTEN_PID $$")
		behind, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, int(spec.Files[1].Fd())+1)
		if err != nil {
			t.Fatal(err)
		}
		for _, null := range below {
			_ = null.Close()
		}
		spec.Sockets, spec.PIDs = []int{behind}, []string{"LISTEN_PID"}
		spec.Environ = append(spec.Environ, "LISTEN_PID=1")
		p := begin(t, spec)
		end(t, p)
		_ = unix.Close(behind)
		if want := fmt.Sprintf("whole\n%d %[1]d\n", p.PID()); output() != want {
			t.Fatalf("got %q, want %q", output(), want)
		}
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	run := func(script string, timeout time.Duration, keep int) Result {
		t.Helper()
		spec, _ := shell(t, script)
		c, err := table().Run(spec, timeout, keep)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case r := <-c.Done():
			return r
		case <-time.After(patience):
			t.Fatalf("%s: did not end", script)
			return Result{}
		}
	}
	if r := run("cat; echo out; echo err >&2; exit 3", time.Minute, 100); r.Status.Code != 3 || r.TimedOut || string(r.Output) != "out\nerr\n" {
		t.Errorf("got %v %q, want 3, and both outputs", r, r.Output)
	}
	if r := run("seq 100000 100099; exit 4", time.Minute, 20); r.Status.Code != 4 || string(r.Output) != "100098\n100099\n" {
		t.Errorf("much output: got %v and %q, want 4 and the last whole lines", r.Status, r.Output)
	}
	if r := run("head -c 100000 /dev/zero; exit 4", time.Minute, 100); r.Status.Code != 4 || len(r.Output) != 0 {
		t.Errorf("one long line: got %v and %d bytes, want 4 and none", r.Status, len(r.Output))
	}
	if r := run("trap '' TERM; sleep 1000", 50*time.Millisecond, 0); !r.TimedOut || r.Status.Signal != syscall.SIGKILL {
		t.Errorf("too long: got %+v, want it killed", r)
	}
	// What it leaves behind does not hold us up, be it out of our reach.
	mark := filepath.Join(t.TempDir(), "mark")
	if r := run("setsid sh -c 'echo >"+mark+"; exec sleep 3' & while ! [ -e "+mark+" ]; do sleep 0.01; done; exit 5", time.Minute, 100); r.Status.Code != 5 {
		t.Errorf("left behind: got %+v, want 5", r)
	}
	if _, err := table().Run(Spec{Path: "/no/such", Argv: []string{"x"}}, time.Minute, 1); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("no such program: got %v, want %v", err, syscall.ENOENT)
	}
}

// TestHardened: of ourselves there is no core file and nothing to read; the program
// has what it would have without us.
func TestHardened(t *testing.T) {
	t.Parallel()
	spec, output := shell(t, "ulimit -Sc; cat /proc/self/oom_score_adj >/dev/null && echo readable")
	end(t, begin(t, spec))
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core.Cur != 0 {
		t.Errorf("our core limit: got %v %v, want 0", core, err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable: got %d %v, want 0", dumpable, err)
	}
	want := strconv.FormatUint(table().core.Cur/512, 10) // blocks
	if table().core.Cur == unix.RLIM_INFINITY {
		want = "unlimited"
	}
	if got := strings.Fields(output()); len(got) != 2 || got[0] != want {
		t.Errorf("the program's: got %q, want %s", got, want)
	}
}
