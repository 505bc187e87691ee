// Demo tells the story of a rotation: it runs the sample program under kmsrun on the
// embedded emulator, edits the seed file, and shows how the program is told.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const patience = 10 * time.Second

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: demo KMSRUN APP DECLARATION")
		os.Exit(2)
	}
	if err := tell(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// tell runs the story from start to end.
func tell(kmsrun, app, declaration string) error {
	dir, err := os.MkdirTemp("", "kmsrun-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	seed := filepath.Join(dir, "seed.yaml")
	if err := save(seed, "v1", "v1"); err != nil {
		return err
	}
	say("Two secrets, demo/db and demo/tls, are in a seed file, each at version v1.",
		"A program runs under kmsrun, which serves that file as if it were KMS:",
		"",
		"  kmsrun exec --dev seed.yaml -c kmsrun.yaml -- app")
	s, err := begin(kmsrun, "exec", "--dev", seed, "-c", declaration, "--", app)
	if err != nil {
		return err
	}
	defer s.kill()
	first, err := s.await("demo/db v1 (variable), demo/tls v1 (file)")
	if err != nil {
		return err
	}

	say("Somebody rotates demo/tls (we save v2 in the seed file). Its value is in a file,",
		"so kmsrun replaces the files in one step and then signals the program:")
	if err := save(seed, "v1", "v2"); err != nil {
		return err
	}
	second, err := s.await("demo/db v1 (variable), demo/tls v2 (file)")
	if err != nil {
		return err
	}
	if second != first {
		return fmt.Errorf("want the same process after a signal, got %s after %s", second, first)
	}

	say("Somebody rotates demo/db. Its value is in a variable, which a running program",
		"can't be given, so kmsrun restarts it:")
	if err := save(seed, "v2", "v2"); err != nil {
		return err
	}
	third, err := s.await("demo/db v2 (variable), demo/tls v2 (file)")
	if err != nil {
		return err
	}
	if third == second {
		return fmt.Errorf("want another process after a restart, got %s again", third)
	}

	say("We send kmsrun a TERM. It passes it on, and leaves as the program leaves:")
	status, err := s.end()
	if err != nil {
		return err
	}
	say(fmt.Sprintf("Exit status %d, and the secret files are gone from memory. That is the main job.", status))
	return nil
}

// save writes the seed file with the given versions, as an editor would: whole.
func save(path, db, tls string) error {
	text := fmt.Sprintf(`secrets:
  demo/db: {value: {AccountName: app, AccountPassword: password-of-%[1]s, id: %[1]s}, version: %[1]s}
  demo/tls: {value: {key: key-of-%[2]s, id: %[2]s}, version: %[2]s}
`, db, tls)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func say(lines ...string) {
	fmt.Println()
	for _, line := range lines {
		fmt.Println(strings.TrimRight("  "+line, " "))
	}
	fmt.Println()
}

// session is kmsrun at work.
type session struct {
	cmd   *exec.Cmd
	lines chan string // of the program
	quiet sync.WaitGroup
}

func begin(name string, args ...string) (*session, error) {
	s := &session{cmd: exec.Command(name, args...), lines: make(chan string, 100)}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	s.quiet.Go(func() { show("app    | ", stdout, s.lines) })
	s.quiet.Go(func() { show("kmsrun | ", stderr, nil) })
	return s, nil
}

func show(prefix string, from io.Reader, lines chan<- string) {
	for scanner := bufio.NewScanner(from); scanner.Scan(); {
		line := scanner.Text()
		if _, message, ok := strings.Cut(line, " msg="); ok {
			line = message // the time and level are of no interest here
		}
		fmt.Println(prefix + line)
		if lines != nil {
			lines <- line
		}
	}
}

// await waits for the program to say what it serves, and returns its pid.
func (s *session) await(want string) (pid string, err error) {
	late := time.After(patience)
	for {
		select {
		case line := <-s.lines:
			if strings.Contains(line, want) {
				pid, _, _ = strings.Cut(strings.TrimPrefix(line, "[pid "), "]")
				return pid, nil
			}
		case <-late:
			return "", fmt.Errorf("the program did not say %q within %s", want, patience)
		}
	}
}

// end stops kmsrun and returns its exit status.
func (s *session) end() (int, error) {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	s.quiet.Wait()
	err := s.cmd.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	status := s.cmd.ProcessState.ExitCode()
	if status != 0 {
		return status, fmt.Errorf("kmsrun ended with status %d, want 0", status)
	}
	return status, nil
}

// kill ends what an error left running.
func (s *session) kill() { _ = s.cmd.Process.Kill() }
