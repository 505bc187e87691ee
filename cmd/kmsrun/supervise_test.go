//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// forwardable are the signals that a program gets through us.
func forwardable() (all []syscall.Signal) {
	for n := syscall.Signal(1); n <= 64; n++ {
		switch n {
		case syscall.SIGKILL, syscall.SIGSTOP: // nobody can take them
		case syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE: // ours
		case syscall.SIGPROF, 32, 33, 34: // the Go runtime's, and the C library's
		case syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU: // tested apart
		case syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGSTKFLT, syscall.SIGSYS:
			// faults: dash may not outlive some of them
		default:
			all = append(all, n)
		}
	}
	return all
}

// TestEverySignal: every signal arrives, once, in a burst or by itself.
func TestEverySignal(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		var traps strings.Builder
		for _, s := range forwardable() {
			fmt.Fprintf(&traps, "trap 'echo got %d.' %d; ", s, s)
		}
		r := p.start(t, traps.String()+`trap 'echo got 23.' 23; trap 'echo got 15.; exit 0' TERM; echo ready; while :; do sleep 0.02; done`)
		r.awaitOutput("ready")
		for _, ours := range []syscall.Signal{syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE} {
			p.signal(t, r, ours)
		}
		for _, s := range forwardable() {
			if s != syscall.SIGTERM {
				p.signal(t, r, s)
			}
		}
		for _, s := range forwardable() {
			if s != syscall.SIGTERM && !slices.Contains(p.ignored, s) { // a shell can't trap what it finds ignored
				r.awaitOutput(fmt.Sprintf("got %d.\n", s))
			}
		}
		p.signal(t, r, syscall.SIGTERM)
		if got := r.wait(); got != 0 {
			t.Errorf("got %d, want 0; stderr:\n%s", got, r.err.String())
		}
		if strings.Contains(r.out.String(), "got 23.") { // the Go runtime sends it to itself all the time
			t.Error("SIGURG was forwarded")
		}
		for line := range strings.Lines(r.out.String()) {
			if n := strings.Count(r.out.String(), line); n != 1 {
				t.Errorf("%q: got it %d times, want once", line, n)
			}
		}
	})
}

// TestFaultSignals: those of faults are forwarded too, and mean ourselves as little.
func TestFaultSignals(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV, syscall.SIGSYS} {
		r := start(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--", "sh", "-c", "ulimit -c 0; echo ready; exec sleep 1000")
		r.awaitOutput("ready")
		if err := syscall.Kill(r.Process.Pid, s); err != nil {
			t.Fatal(err)
		}
		if got, want := r.wait(), 128+int(s); got != want {
			t.Errorf("%v: got %d, want %d", s, got, want)
		}
	}
}

func TestExitStatus(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		for script, want := range map[string]int{"exit 7": 7, "exit 255": 255, "kill -TERM $$": 143, "kill -KILL $$": 137, "kill -50 $$": 178} {
			if got := p.start(t, script).wait(); got != want {
				t.Errorf("%s: got %d, want %d", script, got, want)
			}
		}
	})
}

// TestReapsOrphans: what a program leaves to init, or to us, is no zombie for long,
// and costs no status.
func TestReapsOrphans(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		r := p.start(t, `i=0; while [ $i -lt 100 ]; do (setsid sleep 0 & sleep 0 &); i=$((i+1)); done
while grep -qE '\) Z '$PPID' ' /proc/[0-9]*/stat 2>/dev/null; do sleep 0.01; done; echo reaped; exit 9`)
		if got := r.wait(); got != 9 || !strings.Contains(r.out.String(), "reaped") {
			t.Errorf("got %d and %q, want 9; stderr:\n%s", got, r.out.String(), r.err.String())
		}
	})
}

// TestLeftovers: where we are init, what is left of the program's group gets a chance
// to end well; elsewhere it is left alone.
func TestLeftovers(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		r := p.start(t, `trap 'exit 3' TERM; (trap '' TERM; while :; do sleep 0.02; done) >/dev/null 2>&1 &
(trap 'echo bye; exit' TERM; echo left $$; while :; do sleep 0.02; done) & while :; do sleep 0.02; done`, "--stop-timeout", "300ms")
		r.awaitOutput("left")
		p.signal(t, r, syscall.SIGTERM)
		if !p.isInit {
			r.await("the end", func() bool { return !alive(r) })
			if strings.Contains(r.out.String(), "bye") {
				t.Error("what was left of the program's group was stopped")
			}
			killGroupOf(t, r)
		}
		if got := r.wait(); got != 3 {
			t.Errorf("got %d, want 3; stderr:\n%s", got, r.err.String())
		}
		if p.isInit && !strings.Contains(r.out.String(), "bye") {
			t.Error("what was left of the program's group did not end well")
		}
	})
}

// TestTermDuringFetch ends at once.
func TestTermDuringFetch(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		listener := "http://127.0.0.1:1"
		for s, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
			r := p.start(t, "echo started", "--endpoint", listener, "-e", "A=kms://a", "--log-level", "debug")
			r.await("the fetch", func() bool { return strings.Contains(r.err.String(), "called KMS") })
			p.signal(t, r, s)
			if got := r.wait(); got != want || strings.Contains(r.out.String(), "started") {
				t.Errorf("%v: got %d and %q, want %d", s, got, r.out.String(), want)
			}
		}
	})
}

// TestClosedStderr: nobody reads what we say, and the program is none the worse.
func TestClosedStderr(t *testing.T) {
	t.Parallel()
	r := prepareStart(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--log-level", "debug", "--", "sh", "-c",
		"trap 'echo usr; exit 6' USR1; echo ready; while :; do sleep 0.02; done")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = read.Close()
	r.Stderr = write
	r.begin()
	_ = write.Close()
	r.awaitOutput("ready")
	for _, s := range []syscall.Signal{syscall.SIGPIPE, syscall.SIGUSR1} {
		if err := syscall.Kill(r.Process.Pid, s); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.wait(); got != 6 {
		t.Errorf("got %d, want 6", got)
	}
}

// TestKilled: a kmsrun that is killed takes its program with it, even by the signal
// that the C library keeps to itself.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGKILL, 34} {
		r := start(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--", "sh", "-c", "echo $$.; exec sleep 1000")
		r.awaitOutput(".\n")
		child, err := strconv.Atoi(strings.TrimSuffix(r.out.String(), ".\n"))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(r.Process.Pid, s); err != nil {
			t.Fatal(err)
		}
		r.await("the program's end", func() bool { return !runs(child) })
	}
}

// TestInheritsIgnoredChild: SIGCHLD ignored on entry loses no status.
func TestInheritsIgnoredChild(t *testing.T) {
	t.Parallel()
	env, command := as([]syscall.Signal{syscall.SIGCHLD}, nil, binary(t), "exec", "--", "sh", "-c", "exit 7")
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != 7 {
		t.Errorf("got %d, want 7", got)
	}
}

// TestNohup: SIGHUP is as ignored as without us; a program that handles it gets it.
func TestNohup(t *testing.T) {
	t.Parallel()
	env, command := as([]syscall.Signal{syscall.SIGHUP}, nil, binary(t), "exec", "--", "sh", "-c", "trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done")
	r := &running{t: t, Cmd: exec.Command(command[0], command[1:]...), ended: make(chan struct{})}
	r.Env, r.Stdout, r.Stderr = append(env, "PATH="+os.Getenv("PATH")), &r.out, &r.err
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.begin()
	r.awaitOutput("ready")
	for _, s := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM} {
		if err := syscall.Kill(r.Process.Pid, s); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.wait(); got != 5 {
		t.Errorf("got %d, want 5", got)
	}
}

// TestListenPID: sockets that were passed to us are the program's.
func TestListenPID(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3</dev/null`, "sh",
		binary(t), "exec", "--", "sh", "-c", `[ $LISTEN_PID = $$ ] && [ -e /proc/self/fd/3 ]`)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("got %v\n%s", err, output)
	}
}

func TestOtherUser(t *testing.T) {
	t.Parallel()
	need(t, os.Geteuid() == 0, "root's rights")
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	if err := os.WriteFile(file, []byte("child: {user: nobody, chdir: /usr}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, once := range []string{"--once=false", "--once"} {
		for _, ignored := range [][]syscall.Signal{nil, {syscall.SIGPIPE}} { // by way of a stage
			env, command := as(ignored, nil, publicCopy(t, binary(t)), "exec", once, "-c", file, "--log-level", "error", "--",
				"sh", "-c", `pwd; grep -E 'Uid|Gid|Groups|CapEff' /proc/self/status; echo $USER`)
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
			output, err := cmd.CombinedOutput()
			want := "/usr\nUid:\t65534\t65534\t65534\t65534\nGid:\t65534\t65534\t65534\t65534\nGroups:\t65534 \nCapEff:\t0000000000000000\nnobody\n"
			if err != nil || string(output) != want {
				t.Errorf("%s %v: got %v %q, want %q", once, ignored, err, output, want)
			}
		}
	}
}

// runs tells whether a process is there, and no zombie.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func alive(r *running) bool {
	select {
	case <-r.ended:
		return false
	default:
		return runs(r.Process.Pid)
	}
}

// killGroupOf ends what the program left: it is in the group that its output names.
func killGroupOf(t *testing.T, r *running) {
	t.Helper()
	_, text, _ := strings.Cut(r.out.String(), "left ")
	pid, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(text, "\n", 2)[0]))
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(-pid, syscall.SIGKILL)
}

// TestStops: SIGTSTP stops both, SIGCONT resumes both; a program that handles it
// stops neither.
func TestStops(t *testing.T) {
	t.Parallel()
	state := func(pid int) string {
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		_, state, _ := strings.Cut(string(stat), ") ")
		return state[:min(len(state), 1)]
	}
	r := start(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--", "sh", "-c", "trap 'echo usr' USR1; trap 'exit 4' TERM; echo $$.; while :; do sleep 0.02; done")
	r.awaitOutput(".\n")
	child, err := strconv.Atoi(strings.TrimSuffix(r.out.String(), ".\n"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_ = syscall.Kill(r.Process.Pid, syscall.SIGTSTP)
		r.await("both to stop", func() bool { return state(child) == "T" && state(r.Process.Pid) == "T" })
		_ = syscall.Kill(r.Process.Pid, syscall.SIGCONT)
		r.await("both to go on", func() bool { return state(child) != "T" && state(r.Process.Pid) != "T" })
	}
	_ = syscall.Kill(r.Process.Pid, syscall.SIGTERM)
	if got := r.wait(); got != 4 {
		t.Errorf("got %d, want 4", got)
	}

	r = start(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--", "sh", "-c", "trap 'echo tstp' TSTP; trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done")
	r.awaitOutput("ready")
	_ = syscall.Kill(r.Process.Pid, syscall.SIGTSTP)
	r.awaitOutput("tstp")
	_ = syscall.Kill(r.Process.Pid, syscall.SIGTERM)
	if got := r.wait(); got != 5 {
		t.Errorf("got %d, want 5", got)
	}
}

// TestOtherUsersFiles: what child.user is given he can read, on a filesystem and off it.
func TestOtherUsersFiles(t *testing.T) {
	t.Parallel()
	need(t, os.Geteuid() == 0, "root's rights")
	s := newService(t)
	s.put(t, "db", "v1", "canary-other-user")
	dir := filepath.Join(shm(t), "files")
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	if err := os.WriteFile(file, []byte("child: {user: nobody}\nfiles: {dir: "+dir+", items: {a: kms://db}}\nenv: {FD: 'kms://db?as=fd'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, s.environ(), "exec", "-c", file, "--", "sh", "-c", "id -un; stat -c '%U %a' "+dir+"/a -L; cmp "+dir+"/a $FD && echo same")
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d; stderr:\n%s", got, r.err.String())
	}
	if got, want := r.out.String(), "nobody\nnobody 400\nsame\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestReraise: systemd, which tells a death by signal from an exit, sees the death.
func TestReraise(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGPIPE, syscall.SIGUSR1, 40} {
		for _, blocked := range [][]syscall.Signal{nil, {s}} {
			// The program unblocks nothing: it dies of SIGKILL instead of what is blocked.
			env, command := as(nil, blocked, "/bin/sh", "-c", `SYSTEMD_EXEC_PID=$$ exec "$@"`, "sh", binary(t), "exec", "--", "sh", "-c",
				fmt.Sprintf("ulimit -c 0; kill -%d $$; kill -KILL $$", s))
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Env = append(env, "PATH="+os.Getenv("PATH"))
			_ = cmd.Run()
			want := s
			if blocked != nil {
				want = syscall.SIGKILL
			}
			if got := cmd.ProcessState.Sys().(syscall.WaitStatus); !got.Signaled() || got.Signal() != want {
				t.Errorf("%v: got %v, want death by %v", s, cmd.ProcessState, want)
			}
		}
	}
	// Without systemd it is a status.
	cmd := exec.Command(binary(t), "exec", "--", "sh", "-c", "kill -TERM $$")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != 143 {
		t.Errorf("without systemd: got %v, want exit 143", cmd.ProcessState)
	}
}
