//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

// asVariable has the test's binary execute its arguments with signals ignored and
// blocked, as no Go program can have os/exec do it: IGNORED,BLOCKED in hex.
const asVariable = "KMSRUN_TEST_AS"

func beginAs() {
	as, ok := os.LookupEnv(asVariable)
	if !ok {
		return
	}
	var state asfound.State
	if _, err := fmt.Sscanf(as, "%x,%x", &state.Ignored, &state.Blocked); err != nil {
		panic(err)
	}
	_ = os.Unsetenv(asVariable)
	panic(state.Exec(os.Args[1], os.Args[1:], environ()))
}

// as begins a command line with signals ignored and blocked.
func as(ignored, blocked []syscall.Signal, argv ...string) (env, command []string) {
	bits := func(signals []syscall.Signal) (all asfound.Set) {
		for _, s := range signals {
			all = all.With(int(s))
		}
		return all
	}
	return []string{fmt.Sprintf("%s=%x,%x", asVariable, uint64(bits(ignored)), uint64(bits(blocked)))}, append([]string{os.Args[0]}, argv...)
}

// what a process of the system shows of itself, less what no two processes share.
var (
	shown   = regexp.MustCompile(`(?m)^(Umask|Uid|Gid|Groups|SigPnd|ShdPnd|SigBlk|SigIgn|SigCgt|Cap\w+|NoNewPrivs|Seccomp\w*|Cpus_allowed|Mems_allowed|CoreDumping|TracerPid):.*$`)
	numbers = regexp.MustCompile(`/proc/\d+/`)
)

// outside are the settings that a program starts with, as shell code that ends in
// running its arguments.
var outside = map[string]struct {
	shell            string
	ignored, blocked []syscall.Signal
	needsRoot        bool
}{
	"as usual": {shell: `exec "$@"`},
	"signals ignored": {shell: `exec "$@"`, ignored: []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGSEGV, syscall.SIGTTOU, syscall.SIGTSTP, syscall.SIGUSR1,
		syscall.SIGCHLD, syscall.SIGWINCH, syscall.SIGURG, syscall.SIGPROF, 33, 34, 40, 64,
	}},
	"signals blocked": {shell: `exec "$@"`, blocked: []syscall.Signal{
		syscall.SIGILL, syscall.SIGTERM, syscall.SIGTTIN, syscall.SIGUSR2, syscall.SIGPROF, syscall.SIGCHLD, syscall.SIGHUP, 34, 41,
	}},
	"both":       {shell: `exec "$@"`, ignored: []syscall.Signal{syscall.SIGPIPE, syscall.SIGUSR2}, blocked: []syscall.Signal{syscall.SIGUSR1}},
	"limits":     {shell: `ulimit -Sn 700; ulimit -Ss 4096; ulimit -Su 5000; ulimit -Sc 0; exec "$@"`},
	"core files": {shell: `ulimit -Sc unlimited 2>/dev/null; ulimit -Hn 900; exec "$@"`},
	"umask":      {shell: `umask 027; exec "$@"`},
	"nice, OOM":  {shell: `echo 300 >/proc/self/oom_score_adj; exec nice -n 5 "$@"`},
	"processors": {shell: `exec taskset 1 "$@"`},
	"directory":  {shell: `cd /proc; exec "$@"`},
	"files":      {shell: `exec "$@" 3</etc/passwd 7>>/dev/null 9<&0`},
	"no files":   {shell: `exec "$@" 5<&-`},
	"privileges": {shell: `exec setpriv --no-new-privs --bounding-set -net_raw,-sys_time --inh-caps -all "$@"`, needsRoot: true},
	"other user": {shell: `exec setpriv --reuid 4321 --regid 4322 --groups 4323,4324 "$@"`, needsRoot: true},
	"session":    {shell: `exec setsid -w "$@"`},
}

// TestUnseen: what a program sees of the world through us is what it sees without us.
func TestUnseen(t *testing.T) {
	t.Parallel()
	files := "status limits stat oom_score_adj cgroup comm cmdline environ personality timerslack_ns"
	var cat []string
	for name := range strings.FieldsSeq(files) {
		cat = append(cat, "/proc/self/"+name)
	}
	// To another user, the temporary directories of tests are closed.
	open := publicCopy(t, binary(t))
	for name, o := range outside {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if o.needsRoot {
				need(t, os.Geteuid() == 0, "root's rights")
			}
			for _, probe := range [][]string{append([]string{"/bin/cat"}, cat...), {"/bin/ls", "-l", "/proc/self/fd", "/proc/self/cwd"}} {
				bare := glance(t, o.shell, o.ignored, o.blocked, probe...)
				for _, way := range [][]string{{open, "exec", "--log-level", "error", "--"}, {open, "exec", "--once", "--"}} {
					if through := glance(t, o.shell, o.ignored, o.blocked, append(way, probe...)...); through != bare {
						t.Errorf("%v through %v: got\n%s\nwant\n%s", probe[0], way[1:], through, bare)
					}
				}
			}
		})
	}
}

func publicCopy(t *testing.T, path string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kmsrun-public")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	to := filepath.Join(dir, "kmsrun")
	// Not written by this process: a child of another test might hold the file open
	// for writing while it is executed, which the kernel refuses.
	if output, err := exec.Command("cp", path, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, output)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// glance is what a probe prints, less what no two processes share.
func glance(t *testing.T, shell string, ignored, blocked []syscall.Signal, argv ...string) string {
	t.Helper()
	env, command := as(ignored, blocked, argv...)
	if ignored == nil && blocked == nil {
		env, command = nil, argv
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", shell, "sh"}, command...)...)
	cmd.Env = append([]string{"PATH=/bin:/usr/bin", "HOME=/", "DEBUG=x"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	text, readErr := os.ReadFile(out.Name())
	if err != nil || readErr != nil {
		t.Fatalf("%v: %v %v\n%s", argv, err, readErr, text)
	}
	return normal(string(text), out.Name())
}

func normal(text, out string) string {
	if strings.HasPrefix(text, "Name:") { // of /proc/self/status and what follows it
		status, rest, _ := strings.Cut(text, "Limit ")
		return strings.Join(shown.FindAllString(status, -1), "\n") + "\n" + normalStat(rest)
	}
	var lines []string
	for line := range strings.Lines(text) {
		if _, link, ok := strings.Cut(line, ":"); ok && strings.Contains(link, " -> ") || strings.HasSuffix(line, ":\n") {
			fields := strings.Fields(line)
			lines = append(lines, fields[0]+" "+strings.Join(fields[max(len(fields)-3, 0):], " "))
		}
	}
	return strings.ReplaceAll(numbers.ReplaceAllString(strings.Join(lines, "\n"), "/proc/N/"), out, "OUT")
}

// normalStat replaces the line of /proc/self/stat by what of it is to be the same:
// whether the process leads its group, its terminal, and its priority.
func normalStat(text string) string {
	if rest := strings.Replace(text, "DEBUG=x\x00", "", 1); rest != text {
		text = rest + "DEBUG=x" // in its place or, through us, at the end of the environment
	}
	stat := regexp.MustCompile(`(?m)^(\d+) \((\w+)\) \w \d+ (\d+) (\d+) (-?\d+) (-?\d+) .*$`)
	return stat.ReplaceAllStringFunc(text, func(line string) string {
		m := stat.FindStringSubmatch(line)
		_, behind, _ := strings.Cut(line, ") ")
		fields := strings.Fields(behind)
		return fmt.Sprintf("leads its group: %v; terminal %s %s; priority %s nice %s", m[1] == m[3], m[5], m[6], fields[15], fields[16])
	})
}

// TestEndsTheSame: exit statuses are what a shell would see without us.
func TestEndsTheSame(t *testing.T) {
	t.Parallel()
	ends := []string{"exit 0", "exit 1", "exit 125", "exit 255", "exit 256"}
	for _, s := range []int{1, 2, 3, 6, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 29, 30, 31, 34, 35, 50, 64} {
		ends = append(ends, fmt.Sprintf("ulimit -c 0; kill -%d $$; exit 99", s))
	}
	script := `"$@" 2>/dev/null; echo $?`
	for _, end := range ends {
		var got [2]string
		for i, argv := range [][]string{{"sh", "-c", end}, {binary(t), "exec", "--", "sh", "-c", end}} {
			out, err := exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, argv...)...).Output()
			if err != nil {
				t.Fatal(err)
			}
			got[i] = string(out)
		}
		if got[1] != got[0] {
			t.Errorf("%s: got %q, want %q", end, got[1], got[0])
		}
	}
	for command, want := range map[string]int{"/no/such": 127, "no-such-command": 127, "/etc": 126, "/etc/passwd": 126} {
		err := exec.Command(binary(t), "exec", "--", command).Run()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != want { //nolint:errorlint // as os/exec gives it
			t.Errorf("%s: got %v, want %d", command, err, want)
		}
	}
}

// TestInexact: a build by go install passes on what the Go runtime leaves, and
// SIGPIPE under systemd.
func TestInexact(t *testing.T) {
	t.Parallel()
	path, err := inexact()
	if err != nil {
		t.Fatal(err)
	}
	env, command := as([]syscall.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGTTOU, syscall.SIGPIPE}, nil,
		"/bin/sh", "-c", `SYSTEMD_EXEC_PID=$$ exec "$@"`, "sh", path, "exec", "--log-level", "error", "--", "grep", "SigIgn", "/proc/self/status")
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(env, "PATH=/bin:/usr/bin")
	out, err := cmd.CombinedOutput()
	if want := "SigIgn:\t0000000000201003\n"; err != nil || string(out) != want {
		t.Errorf("got %q %v, want %q", out, err, want)
	}
}
