package inject

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/asfound"
	"github.com/kmsrun/kmsrun/render"
)

func TestActionFor(t *testing.T) {
	t.Parallel()
	env, files, both := render.Change{Env: []string{"A"}}, render.Change{Files: []string{"f"}}, render.Change{Env: []string{"A"}, Files: []string{"f"}}
	hup, restart := config.FileAction{Signal: config.Signal(syscall.SIGHUP)}, config.FileAction{Restart: true}
	for _, c := range []struct {
		change render.Change
		env    string
		files  config.FileAction
		want   action
	}{
		{env, "restart", hup, actRestart},
		{env, "none", hup, actNone},
		{env, "exit", hup, actExit},
		{files, "restart", hup, actSignal},
		{files, "restart", restart, actRestart},
		{files, "exit", config.FileAction{}, actNone},
		{both, "restart", hup, actRestart},
		{both, "none", hup, actSignal},
		{both, "none", restart, actRestart},
		{both, "exit", restart, actExit},
		{render.Change{}, "exit", restart, actNone},
	} {
		if got, _ := actionFor(c.change, config.Config{OnChange: config.OnChange{Env: c.env, Files: c.files}}); got != c.want {
			t.Errorf("%v, env %s, files %v: got %v, want %v", c.change, c.env, c.files, got, c.want)
		}
	}
}

func TestFindCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bin/tool": 0o755, "first/tool": 0o644, "bin/text": 0o644, "first/sub/x": 0o644} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/no/interpreter\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	search := []string{"PATH=" + dir + "/none:" + dir + "/first:" + dir + "/bin"}
	for _, c := range []struct {
		name       string
		environ    []string
		path       string
		wantStatus int
	}{
		{"tool", search, dir + "/bin/tool", 0}, // the first one is not executable
		{dir + "/bin/tool", nil, dir + "/bin/tool", 0},
		{"text", search, "", 126},
		{"sub", search, "", 126}, // a directory
		{"nothing", search, "", 127},
		{"", search, "", 127},
		{"tool", nil, "", 127},
		{dir + "/bin/none", search, "", 127},
		{dir + "/bin/tool/below", search, "", 127},
		{dir, search, "", 126},
	} {
		path, err := findCommand(c.name, "", c.environ)
		status := 0
		if err != nil {
			path, status = "", startError(c.name, err).Status
		}
		if path != c.path || status != c.wantStatus {
			t.Errorf("%q in %v: got %q, %d (%v); want %q, %d", c.name, c.environ, path, status, err, c.path, c.wantStatus)
		}
	}
	// Found and executable, but its interpreter is missing: as a shell has it, not found.
	_, err := program{argv: []string{"tool"}}.start(table(), search, nil)
	if failed, ok := errors.AsType[*StartError](err); !ok || failed.Status != 127 {
		t.Errorf("missing interpreter: got %v, want status 127", err)
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	inherited := []string{"A=1", "KMSRUN_REGION=x", "KEY=secret", "KMSRUN_PORT=tcp://1.2.3.4", "B=a=b", "KMSRUN=kept"}
	got, dropped := Environ(inherited, []string{"KEY", "TOKEN"})
	if want := []string{"A=1", "B=a=b", "KMSRUN=kept"}; !slices.Equal(got, want) {
		t.Errorf("environment: got %q, want %q", got, want)
	}
	if want := []string{"KEY"}; !slices.Equal(dropped, want) {
		t.Errorf("dropped: got %q, want %q", dropped, want)
	}
}

func TestForwarded(t *testing.T) {
	t.Parallel()
	for n := syscall.Signal(1); n <= 64; n++ {
		want := n != syscall.SIGCHLD && n != syscall.SIGURG && n != syscall.SIGPIPE
		if got := forwarded(n); got != want {
			t.Errorf("signal %d: got %v, want %v", n, got, want)
		}
	}
}

// TestFits: what is let through can be started, by way of our own binary too, and a
// program is not stopped for a successor that can't be.
func TestFits(t *testing.T) {
	t.Parallel()
	argv := []string{"/bin/true"}
	long := func(bytes int) []string {
		environ := []string{"PATH=/bin"}
		for i := 0; bytes > 0; i++ {
			n := min(bytes, 100<<10)
			environ = append(environ, fmt.Sprintf("V%03d=%s", i, strings.Repeat("x", n)))
			bytes -= n
		}
		return environ
	}
	fitting, too := 0, 8<<20
	for too-fitting > 1 {
		if half := (fitting + too) / 2; fits(argv, long(half)) == nil {
			fitting = half
		} else {
			too = half
		}
	}
	for _, signals := range []asfound.State{{}, {Ignored: asfound.Set(0).With(int(syscall.SIGPIPE))}} {
		p := program{argv: argv, signals: signals}
		child, err := p.start(table(), long(fitting), nil)
		if err != nil {
			t.Errorf("%d bytes fit, and with %+v: %v", fitting, signals, err)
			continue
		}
		<-child.Done()
		if got := child.Status().ExitCode(); got != 0 {
			t.Errorf("with %+v: got %d, want 0", signals, got)
		}
	}
}
