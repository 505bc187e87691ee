//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// screen is a terminal with an interactive shell, as its user sees it. $K is kmsrun
// exec in it.
type screen struct {
	t      *testing.T
	socket string
	tty    string
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	_, err := exec.LookPath("tmux")
	need(t, err == nil, "tmux (make deps installs it)")
	dir, err := os.MkdirTemp("", "km") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{t: t, socket: filepath.Join(dir, "s")}
	t.Cleanup(func() {
		for _, id := range s.kmsruns() { // one that no shell looks after does not end with the terminal
			if pid, err := strconv.Atoi(id); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		_ = exec.Command("tmux", "-S", s.socket, "kill-server").Run()
		_ = os.RemoveAll(dir)
	})
	command := "env -i PATH=$PATH TERM=screen HOME=" + dir + " K='" + binary(t) + " exec --log-level error --' PS1='outer$ ' bash --norc --noprofile"
	s.tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "50", command)
	s.tty = strings.TrimPrefix(strings.TrimSpace(s.tmux("display-message", "-p", "#{pane_tty}")), "/dev/")
	s.shows("outer$")
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	output, err := exec.Command("tmux", append([]string{"-S", s.socket}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %v: %v\n%s", args, err, output)
	}
	return string(output)
}

// keys types keys, by the names of tmux.
func (s *screen) keys(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys"}, keys...)...)
}

// types types a line.
func (s *screen) types(line string) {
	s.t.Helper()
	s.keys("-l", line)
	s.keys("Enter")
}

// shows waits for a line that begins with text.
func (s *screen) shows(text string) {
	s.t.Helper()
	s.await(text, func(screen string) bool { return strings.Contains("\n"+screen, "\n"+text) })
}

// count waits until text is there so many times.
func (s *screen) count(text string, want int) {
	s.t.Helper()
	s.await(fmt.Sprintf("%q %d times", text, want), func(screen string) bool { return strings.Count(screen, text) == want })
}

// text is all that was ever shown.
func (s *screen) text() string {
	s.t.Helper()
	return s.tmux("capture-pane", "-p", "-S", "-")
}

func (s *screen) await(what string, condition func(screen string) bool) {
	s.t.Helper()
	now := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if now = s.text(); condition(now) {
			return
		}
	}
	s.t.Fatalf("waited in vain for %q; the screen:\n%s", what, strings.TrimRight(now, "\n"))
}

// status types a line that shows the status of the last command.
func (s *screen) status(want int) {
	s.t.Helper()
	s.types(`echo "status=$?."`)
	s.shows(fmt.Sprintf("status=%d.", want))
}

// counting is a program that says what it gets. It starts nothing after "up": a ^Z
// between vfork and exec would hang it, with or without kmsrun.
const counting = `trap 'echo INT' INT; trap 'echo CONT' CONT; trap 'stty size' WINCH; trap 'echo 35' 35; sleep 60 & echo up; while :; do wait; done`

// TestTerminalShell: an interactive shell has its jobs, and its own status.
func TestTerminalShell(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.types(`$K env PS1='inner$ ' bash --norc --noprofile`)
	s.shows("inner$")
	s.types("sleep 1000; echo over")
	s.await("sleep", func(string) bool { return s.foreground() == "sleep" })
	s.keys("C-c")
	s.await("the prompt", func(string) bool { return s.foreground() == "bash" })
	s.status(130)
	s.types("sleep 2000")
	s.await("sleep", func(string) bool { return s.foreground() == "sleep" })
	s.keys("C-z")
	s.shows("[1]+  Stopped                 sleep 2000")
	s.types("kill -KILL %1; sleep 0.2")
	s.types("")
	s.shows("[1]+  Killed")
	s.types("exit 7")
	s.shows("exit\nouter$")
	s.status(7)
}

// foreground is the name of the program that has the foreground of the terminal.
func (s *screen) foreground() string {
	return strings.TrimSpace(s.tmux("display-message", "-p", "#{pane_current_command}"))
}

// TestTerminalSignals: ^C comes once, ^Z stops both, fg resumes, a new size is told.
func TestTerminalSignals(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.types(`$K sh -c "` + counting + `"`)
	s.shows("up")
	s.keys("C-c")
	s.shows("^CINT")
	s.keys("C-z")
	s.shows("[1]+  Stopped")
	s.status(148)
	s.types("ps -o stat= $(pgrep -P $$ kmsrun) | cut -c1; echo told")
	s.shows("T\ntold")
	s.types("fg")
	s.shows("CONT")
	s.tmux("resize-window", "-x", "90", "-y", "40")
	s.shows("40 90")
	s.keys("C-c")
	s.count("^CINT", 2)
	s.keys("C-\\")
	s.status(131)
	if screen := s.text(); strings.Contains(screen, "\nINT") {
		t.Errorf("one ^C was two INTs:\n%s", screen)
	}
}

// TestTerminalBackground: a program in the background that reads is stopped, and has
// the terminal when it is called to the foreground.
func TestTerminalBackground(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.types("$K cat &")
	s.types("wait -n; jobs")
	s.shows("[1]+  Stopped")
	s.types("fg")
	s.await("cat", func(string) bool { return s.foreground() == "cat" })
	s.types("hello")
	s.shows("hello\nhello")
	s.keys("C-d")
	s.status(0)
}

func TestTerminalEditor(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	_, err := exec.LookPath("vi")
	need(t, err == nil, "vi (make deps installs it)")
	file := filepath.Join(t.TempDir(), "text")
	s.types("$K vi -u NONE -N " + file)
	s.shows("~\n~")
	s.keys("i", "written", "Escape")
	s.shows("written")
	s.keys("C-z")
	s.shows("[1]+  Stopped")
	s.types("fg")
	s.await("vi", func(string) bool { return s.foreground() == "vi" })
	s.shows("written\n~")
	s.keys(":wq", "Enter")
	s.await("the shell", func(string) bool { return s.foreground() == "bash" })
	s.status(0)
	if text, err := os.ReadFile(file); string(text) != "written\n" {
		t.Errorf("got %q %v, want what was written", text, err)
	}
}

// TestTerminalPipeline: among others in a group, the program stays with them: they
// read the terminal, and get ^C, too.
func TestTerminalPipeline(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.types(`(echo one; echo two) | $K sh -c 'cat; read x </dev/tty; echo "got $x"' | cat`)
	s.shows("two")
	s.types("three")
	s.shows("got three")
	s.types(`$K sh -c 'echo four >&2; exec sleep 1000' 2>&1 >/dev/null | (read x; echo "$x"; read x </dev/tty; echo "got $x")`)
	s.shows("four")
	s.types("five")
	s.shows("got five")
	s.keys("C-c")
	s.await("the shell", func(string) bool { return s.foreground() == "bash" })
	s.types(`bash -c "$K sleep 1234; echo went on"; echo "status=$?;"`)
	s.await("sleep", func(string) bool { return s.foreground() == "sleep" || s.foreground() == "bash" })
	s.await("the program", func(string) bool { return exec.Command("pgrep", "-f", "^sleep 1234$").Run() == nil })
	s.keys("C-c")
	s.status(130)
	if screen := s.tmux("capture-pane", "-p"); strings.Contains(screen, "\nwent on") {
		t.Errorf("the script went on after ^C:\n%s", screen)
	}
}

// TestTerminalScript: a program that shares our group, here with a script, gets once
// what the terminal sends to all. A ^Z stops the script at once, and the shell takes the
// terminal without waiting for us.
func TestTerminalScript(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.types(`sh -c "$K sh -c \"` + strings.ReplaceAll(counting, `"`, `\"`) + `\"; :"`)
	s.shows("up")
	s.keys("C-c")
	s.shows("^CINT")
	s.keys("C-z") // stops the whole group
	s.shows("[1]+  Stopped")
	s.types("fg")
	s.shows("CONT")
	s.keys("C-c")
	s.count("^CINT", 2)
	s.keys("C-z")
	s.count("[1]+  Stopped", 2)
	s.types("bg")
	s.count("CONT\n", 2)
	s.signal(35) // behind that in every queue
	s.count("35\n", 1)
	s.signal(syscall.SIGINT) // nobody else gets this one
	s.count("INT\n", 3)
	s.types("fg")
	s.await("the foreground", func(string) bool { return s.foreground() != "bash" })
	s.keys("C-\\")
	s.await("the shell", func(string) bool { return s.foreground() == "bash" })
	if screen := s.text(); strings.Count(screen, "INT\n") != 3 || strings.Count(screen, "CONT\n") != 2 {
		t.Errorf("want INT 3 times and CONT twice:\n%s", screen)
	}
}

// TestTerminalParentDies: a parent that dies of ^C loses the terminal before we look. The
// program, which takes its time to end, got it once all the same.
func TestTerminalParentDies(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.types(`bash -c "env --default-signal=INT,QUIT $K sh -c \"` + counting + `\" & wait"`)
	s.shows("up")
	s.keys("C-c")
	s.await("the program's word", func(screen string) bool { return strings.Contains(screen, "INT\n") })
	s.status(130)
	s.signal(35) // behind it in every queue
	s.count("35\n", 1)
	if screen := s.text(); strings.Count(screen, "INT\n") != 1 {
		t.Errorf("one ^C was two INTs:\n%s", screen)
	}
	s.signal(syscall.SIGTERM) // no shell is left that would end it with the terminal
	s.await("the end", func(string) bool { return len(s.kmsruns()) == 0 })
}

// kmsruns are the ids of those on this terminal.
func (s *screen) kmsruns() (ids []string) {
	if s.tty == "" {
		return nil
	}
	output, _ := exec.Command("pgrep", "-x", "-t", s.tty, "kmsrun").Output() // fails where there is none
	return strings.Fields(string(output))
}

// signal signals the one kmsrun on this terminal, and nobody else.
func (s *screen) signal(signal syscall.Signal) {
	s.t.Helper()
	ids := s.kmsruns()
	if len(ids) != 1 {
		s.t.Fatalf("want one kmsrun on the terminal, got %q", ids)
	}
	pid, err := strconv.Atoi(ids[0])
	if err == nil {
		err = syscall.Kill(pid, signal)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// TestTerminalLeader: as the first process of a session there is no shell that could
// resume us.
func TestTerminalLeader(t *testing.T) {
	t.Parallel()
	s := newScreen(t)
	s.tmux("new-window", binary(t)+` exec --log-level error -- sh -c "`+counting+`"`)
	s.shows("up")
	s.keys("C-z")
	s.shows("^ZCONT") // stopped, and resumed at once
	s.keys("C-c")
	s.shows("^CINT")
}
