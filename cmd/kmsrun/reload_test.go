package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kmsrun/kmsrun/config"
)

// configMap is a volume as the kubelet writes it.
type configMap struct {
	t          *testing.T
	dir        string
	generation int
}

// put swaps ..data, and removes the directory before.
func (m *configMap) put(text string) {
	m.t.Helper()
	m.generation++
	name := "..2026_01_02_03_04_05." + strings.Repeat("1", m.generation)
	before, _ := os.Readlink(filepath.Join(m.dir, "..data"))
	for _, err := range []error{
		os.Mkdir(filepath.Join(m.dir, name), 0o700),
		os.WriteFile(filepath.Join(m.dir, name, "kmsrun.yaml"), []byte(text), 0o600),
		os.Symlink(name, filepath.Join(m.dir, "..data_tmp")),
		os.Rename(filepath.Join(m.dir, "..data_tmp"), filepath.Join(m.dir, "..data")),
	} {
		if err != nil {
			m.t.Fatal(err)
		}
	}
	if before == "" {
		if err := os.Symlink("..data/kmsrun.yaml", m.file()); err != nil {
			m.t.Fatal(err)
		}
		return
	}
	_ = os.RemoveAll(filepath.Join(m.dir, before))
}

func (m *configMap) file() string { return filepath.Join(m.dir, "kmsrun.yaml") }

// TestReloadOfAConfigMap follows the declaration through swaps of its volume: one that
// validates, one that does not, and one that ends the watch.
func TestReloadOfAConfigMap(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", `{"user": "app", "password": "`+canary("reload")+`"}`)
	dir, volume := shm(t), &configMap{t: t, dir: t.TempDir()}
	socket := filepath.Join(t.TempDir(), "s")
	declaration := func(more string) string {
		return "files: {dir: " + dir + "/files}\nwatch: {interval: 100ms, debounce: 10ms, reload: all}\non_change: {min_interval: 0s, max_per_hour: 0}\n" + more
	}
	volume.put(declaration("env: {USER: 'kms://db#user'}"))
	r := start(t, s.environ(), "exec", "-c", volume.file(), "--listen", "unix:"+socket, "--", "sh", "-c",
		`trap 'exit 0' TERM; echo "start $USER $MORE"; while :; do sleep 0.02; done`)
	r.awaitOutput("start app \n")

	reloads := func(result, count string) {
		t.Helper()
		line := `kmsrun_reloads_total{result="` + result + `"} ` + count + "\n"
		r.await(line, func() bool {
			_, body := get(t, socket, "GET", "/metrics")
			return strings.Contains(body, line)
		})
	}
	volume.put(declaration("env: {USER: 'kms://db#user', MORE: text}"))
	r.awaitOutput("start app text\n")
	reloads("applied", "1")

	volume.put(declaration("env: {USER: 'kms://db#nobody'}"))
	reloads("refused", "1")
	volume.put("env: [")
	reloads("refused", "2")
	r.await("the reasons", func() bool {
		log := r.err.String()
		return strings.Contains(log, `no key \"nobody\"; it has \"password\", \"user\"`) && strings.Contains(log, volume.file()+":1: not YAML")
	})
	volume.put(declaration("env: {USER: 'kms://db#user', MORE: text}\nhttp: {listen: ':1'}"))
	reloads("unchanged", "1") // the flag is above the file: nothing differs

	s.put(t, "db", "v2", `{"user": "new", "password": "`+canary("reload")+`"}`)
	r.awaitOutput("start new text\n")
	volume.put(declaration("env: {USER: 'kms://db#user', MORE: other}\nkms: {timeout: 9s}"))
	r.awaitOutput("start new other\n")
	r.await("the key that needs a restart", func() bool { return strings.Contains(r.err.String(), "keys=[kms.timeout]") })

	volume.put(strings.Replace(declaration("env: {USER: 'kms://db#user', MORE: last}"), "reload: all", "reload: none", 1))
	r.awaitOutput("start new last\n")
	_ = r.Process.Signal(syscall.SIGTERM)
	if status := r.wait(); status != 0 {
		t.Errorf("got %d, want the program's 0", status)
	}
	if got, want := r.out.String(), "start app \nstart app text\nstart new text\nstart new other\nstart new last\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if strings.Contains(r.err.String(), canary("reload")) {
		t.Error("a value is in the log")
	}
}

// A declaration that does not reload stays as it was read, be it read again for the
// sake of a template.
func TestDeclarationReadAgain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	for _, test := range []struct{ reload, want string }{{"templates", "before"}, {"all", "after"}} {
		save := func(text string) {
			t.Helper()
			if err := os.WriteFile(file, []byte("env: {A: "+text+"}\nwatch: {reload: "+test.reload+"}"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d := &declaration{source: config.Source{File: file}}
		save("before")
		if _, err := d.load(); err != nil {
			t.Fatal(err)
		}
		save("after")
		for range 2 {
			c, err := d.load()
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Env["A"].Parts[0].Literal; got != test.want {
				t.Errorf("%s: got %q, want %q", test.reload, got, test.want)
			}
		}
	}
}

// The declaration itself does not reload unless it says so.
func TestNoReloadUnlessDeclared(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "a", "v1", "one")
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	save := func(text string) {
		if err := os.WriteFile(file, []byte("watch: {interval: 100ms, debounce: 10ms}\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("env: {A: kms://a, B: before}")
	r := start(t, s.environ(), "exec", "-c", file, "--", "sh", "-c", `trap 'exit 0' TERM; echo "start $A $B"; while :; do sleep 0.02; done`)
	r.awaitOutput("start one before\n")
	save("env: {A: kms://a, B: after}")
	s.put(t, "a", "v2", "two")
	r.awaitOutput("start two before\n")
	_ = r.Process.Signal(syscall.SIGTERM)
	r.wait()
}
