package emulator

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// logText is a log that can be read while it is written.
type logText struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// watched is an emulator whose seed file is watched until the test ends.
type watched struct {
	*bench
	path string
	log  *logText
}

// watch loads seed.yaml of the given files, changes them by before, and then watches.
func watch(t *testing.T, path string, before func()) *watched {
	t.Helper()
	w := &watched{bench: newBench(t), path: path, log: &logText{}}
	seed, err := w.LoadSeed(path)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- seed.Watch(ctx, slog.New(slog.NewTextHandler(w.log, nil))) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Watch = %v, want nil", err)
		}
		if text := w.log.String(); strings.Contains(text, canary) {
			t.Errorf("the log shows a value: %s", text)
		}
	})
	return w
}

// wait polls a condition.
func (w *watched) wait(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s did not come to pass; log:\n%s", what, strings.ReplaceAll(w.log.String(), canary, "***"))
		}
	}
}

// becomes waits for a current value under a version id.
func (w *watched) becomes(name, value, id string) {
	w.t.Helper()
	w.wait(name+" = "+id, func() bool {
		gotValue, gotID := w.current(name)
		return gotValue == canary+value && gotID == id
	})
}

func (w *watched) logged(line string) {
	w.t.Helper()
	w.wait("log line "+line, func() bool { return strings.Contains(w.log.String(), line) })
}

func seedOf(value string) string { return "secrets: {s: " + canary + value + "}\n" }

func replace(t *testing.T, path, text string) {
	t.Helper()
	save(t, path+".tmp", text)
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

func TestWatchSaves(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(t *testing.T, path, text string){"rename": replace, "truncate": save} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, seedDir(t, map[string]string{"seed.yaml": seedOf("1")}), nil)
			write(t, w.path, seedOf("2"))
			w.becomes("s", "2", "v1-2")
			write(t, w.path, seedOf("2")) // the same bytes are no change, so the next version is the third
			write(t, w.path, seedOf("3"))
			w.becomes("s", "3", "v1-3")
			if got, want := w.stages(), "v1[] v1-2[ACSPrevious] v1-3[ACSCurrent]"; got != want {
				t.Errorf("versions = %s, want %s", got, want)
			}
			w.logged(`level=INFO msg="seed secret rotated" secret=s version=v1-3`)
		})
	}
}

func TestWatchSavedBeforeIt(t *testing.T) {
	t.Parallel()
	path := seedDir(t, map[string]string{"seed.yaml": seedOf("1")})
	w := watch(t, path, func() { save(t, path, seedOf("2")) })
	w.becomes("s", "2", "v1-2")
}

func TestWatchPerSecret(t *testing.T) {
	t.Parallel()
	const c = canary
	w := watch(t, seedDir(t, map[string]string{"seed.yaml": "secrets: {s: " + c + "1, other: " + c + "1, gone: " + c + "1}"}), nil)

	replace(t, w.path, "secrets: {s: {value: "+c+"2, version: v2}, other: "+c+"1, new: "+c+"1}")
	w.becomes("new", "1", "v1")
	w.becomes("s", "2", "v2")
	w.becomes("other", "1", "v1")
	w.becomes("gone", "1", "v1")
	w.logged(`level=INFO msg="seed secret created" secret=new version=v1`)

	// One that comes back to the file, one whose version alone changes, and one that the API has rotated meanwhile, which
	// the file does not mind.
	if err := w.Put("other", "api", []byte(c+"api")); err != nil {
		t.Fatal(err)
	}
	replace(t, w.path, "secrets: {s: {value: "+c+"2, version: v3}, other: "+c+"1, new: "+c+"1, gone: "+c+"2}")
	w.becomes("gone", "2", "v1-2")
	w.becomes("s", "2", "v3")
	w.becomes("other", "api", "api")

	// One in its delete window is left alone, one that is gone is made anew, back to an old value is a new version.
	w.must("DeleteSecret", "SecretName", "other")
	if err := w.Delete("gone"); err != nil {
		t.Fatal(err)
	}
	replace(t, w.path, "secrets: {s: {value: "+c+"1, version: v1}, other: "+c+"9, new: "+c+"1, gone: "+c+"3}")
	w.becomes("gone", "3", "v1")
	w.becomes("s", "1", "v1-2")
	w.logged(`level=WARN msg="seed secret skipped" secret=other err="Rejected.ResourceInDeleteWindow: secret in delete peroid"`)
}

func TestWatchBrokenFile(t *testing.T) {
	t.Parallel()
	w := watch(t, seedDir(t, map[string]string{"seed.yaml": seedOf("1")}), nil)
	for _, tc := range []struct{ text, want string }{
		{"secrets: {s: " + canary + ": {", ":1: not valid YAML"},
		{"", ":1: the file is empty"},
		{"secrets: {s: {value: x, " + canary + ": y}}", "known are value, value_file, version and data_type"},
	} {
		save(t, w.path, tc.text)
		w.logged(tc.want)
	}
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	w.logged("no such file or directory")
	w.becomes("s", "1", "v1")
	// The base of comparison is the last good file: the first save says nothing new, the second does.
	replace(t, w.path, seedOf("1")+"# back\n")
	replace(t, w.path, seedOf("2"))
	w.becomes("s", "2", "v1-2")
	if got, want := strings.Count(w.log.String(), "seed secret"), 1; got != want {
		t.Errorf("%d changes are logged, want %d:\n%s", got, want, w.log)
	}
	if got, want := strings.Count(w.log.String(), "level=WARN"), 4; got != want {
		t.Errorf("%d warnings, want %d:\n%s", got, want, w.log)
	}
}

func TestWatchValueFile(t *testing.T) {
	t.Parallel()
	other := t.TempDir()
	save(t, filepath.Join(other, "far"), canary+"1")
	w := watch(t, seedDir(t, map[string]string{
		"seed.yaml": "secrets: {s: {value_file: near}, far: {value_file: " + filepath.Join(other, "far") + "}}", "near": canary + "1",
	}), nil)
	save(t, filepath.Join(filepath.Dir(w.path), "near"), canary+"2")
	w.becomes("s", "2", "v1-2")
	replace(t, filepath.Join(other, "far"), canary+"2")
	w.becomes("far", "2", "v1-2")

	// A value file that is missing when the seed file first names it, in a directory that is missing too.
	late := filepath.Join(other, "a", "b")
	replace(t, w.path, "secrets: {s: {value_file: "+filepath.Join(late, "f")+"}}")
	w.logged("reading value_file")
	if err := os.MkdirAll(late, 0o700); err != nil {
		t.Fatal(err)
	}
	replace(t, filepath.Join(late, "f"), canary+"3")
	w.becomes("s", "3", "v1-3")
}

// A ConfigMap volume: seed.yaml -> ..data/seed.yaml, and ..data is replaced.
func TestWatchConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	publish := func(generation, value string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, generation), 0o700); err != nil {
			t.Fatal(err)
		}
		save(t, filepath.Join(dir, generation, "seed.yaml"), seedOf(value))
		link(t, generation, filepath.Join(dir, "..data"))
	}
	publish("..1", "1")
	link(t, "..data/seed.yaml", filepath.Join(dir, "seed.yaml"))
	w := watch(t, filepath.Join(dir, "seed.yaml"), nil)
	for i, generation := range []string{"..2", "..3", "..4"} {
		publish(generation, generation[2:])
		if err := os.RemoveAll(filepath.Join(dir, []string{"..1", "..2", "..3"}[i])); err != nil {
			t.Fatal(err)
		}
		w.becomes("s", generation[2:], "v1-"+generation[2:])
	}
}

// link makes or replaces a symlink, as one step.
func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path+".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
}

// A link to a file elsewhere: the file changes, then the link, then a link to the directory on the way.
func TestWatchLinkTargets(t *testing.T) {
	t.Parallel()
	dir, seeds := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.Mkdir(filepath.Join(seeds, name), 0o700); err != nil {
			t.Fatal(err)
		}
		save(t, filepath.Join(seeds, name, "seed.yaml"), seedOf(name))
	}
	link(t, "a", filepath.Join(seeds, "now"))
	path := filepath.Join(dir, "seed.yaml")
	link(t, filepath.Join(seeds, "now", "seed.yaml"), path)
	w := watch(t, path, nil)
	save(t, filepath.Join(seeds, "a", "seed.yaml"), seedOf("changed"))
	w.becomes("s", "changed", "v1-2")
	link(t, "b", filepath.Join(seeds, "now"))
	w.becomes("s", "b", "v1-3")
	save(t, filepath.Join(seeds, "b", "seed.yaml"), seedOf("again"))
	w.becomes("s", "again", "v1-4")
	link(t, filepath.Join(seeds, "c", "seed.yaml"), path)
	w.becomes("s", "c", "v1-5")
}
