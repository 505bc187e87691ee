package inject

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// beginReloading is begin for a declaration that is watched.
func beginReloading(t *testing.T, v *vault, declaration, script string) *run {
	t.Helper()
	r := prepare(t, v, declaration, script)
	r.startReloading()
	return r
}

// beginReloadingAlone is the same for a sidecar.
func beginReloadingAlone(t *testing.T, v *vault, declaration string) *run {
	t.Helper()
	r := prepare(t, v, declaration, "")
	r.exec.Argv = nil
	r.startReloading()
	return r
}

func (r *run) startReloading() {
	file := filepath.Join(r.dir, "kmsrun.yaml")
	r.exec.Reload = func() (config.Config, error) {
		c, err := config.Load(config.Source{File: file, Environ: []string{"ALIBABA_CLOUD_REGION_ID=cn-test"}})
		c.Files.Dir = r.files
		return c, err
	}
	r.exec.Inputs = func(config.Config) []string { return []string{file} }
	r.exec = NewExec(r.exec.Plan)
	r.start()
}

func (r *run) edit(declaration string) {
	r.t.Helper()
	file := filepath.Join(r.dir, "kmsrun.yaml")
	if err := os.WriteFile(file+".new", []byte(declaration), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) term() {
	r.t.Helper()
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		r.t.Error(err)
	}
}

func (v *vault) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

// outage is a failure that time may mend.
type outage struct{}

func (outage) Error() string   { return "out of reach" }
func (outage) Outage() bool    { return true }
func (outage) Throttled() bool { return false }
func (outage) Reason() string  { return "unavailable" }

const reloads = "watch: {interval: 100ms, debounce: 10ms, reload: all}\n" + unpaced

// unpaced lets restarts follow each other at once.
const unpaced = "on_change: {min_interval: 0s, max_per_hour: 0}\n"

// TestReload takes a declaration through edits: values, files that come and go, new
// secrets, and what is watched.
func TestReload(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	v.put("b", "v1", "bee")
	r := beginReloading(t, v, reloads+"env: {A: kms://a}", loops)
	r.says("start one")

	r.edit(reloads + "env: {A: 'text ${kms://b}'}") // a secret that was not read before
	r.says("start text bee")
	v.put("b", "v2", "cee")
	r.says("start text cee") // and is watched now

	// The first files make the directory; what did not change does not restart.
	r.edit(strings.Replace(reloads, "{min", "{files: HUP, min", 1) + "env: {A: 'text ${kms://b}'}\nfiles: {grace: 0s, items: {f: kms://b, sub/g: plain}}")
	r.says("hup")
	r.await("the files", func() bool { return r.file("f") == "cee" && r.file("sub/g") == "plain" })
	r.edit(reloads + "env: {A: 'text ${kms://b}'}\nfiles: {grace: 0s, mode: '0440', items: {f: kms://a}}")
	r.await("a file that is not declared any more to go", func() bool { return r.file("f") == "one" && r.file("sub/g") == "" })
	r.await("the new mode", func() bool {
		info, err := os.Stat(filepath.Join(r.files, "f"))
		return err == nil && info.Mode() == 0o440
	})
	r.edit(reloads + "env: {A: 'text ${kms://b}'}")
	r.await("no file", func() bool { return r.file("f") == "" })
	r.edit(reloads)
	r.says("start ")
	if got, want := r.said(), "start one\nterm\nstart text bee\nterm\nstart text cee\nhup\nterm\nstart \n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
	r.term()
}

// TestReloadRefused: what can't be used leaves everything as it is, and does not keep
// a better edit from being taken up.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	v.put("json", "v1", `{"k": "v"}`)
	r := beginReloading(t, v, reloads+"env: {A: kms://a}", loops)
	r.says("start one")
	for edit, why := range map[string]string{
		"env: {A: kms://a":                                     "not YAML",
		"env: {A: kms://a}\nenviron: {}":                       "unknown key",
		"env: {A: kms://none}":                                 "env A: no such secret: none",
		"env: {A: kms://json#missing}":                         "no key",
		"env: {A: 'kms://a?auth=b'}\nauth: {b: {type: chain}}": "is new: restart kmsrun to use it",
		"files: {items: {a: {from: x, owner: no-such-user}}}":  "no user",
	} {
		r.edit(reloads + edit)
		r.logs(why)
	}
	v.put("a", "v2", "two") // the present declaration lives on
	r.says("start two")
	r.edit(reloads + "env: {A: kms://json#k}")
	r.says("start v")
	r.term()
}

// TestReloadNeedsRestart: keys that can't change are named, and the others taken up.
func TestReloadNeedsRestart(t *testing.T) {
	t.Parallel()
	r := beginReloading(t, &vault{}, reloads+"env: {A: one}", loops)
	r.says("start one")
	r.edit(reloads + "env: {A: two}\nkms: {region: cn-beijing, concurrency: 2}\nlog: {level: debug}")
	r.says("start two")
	r.logs("keys=\"[kms.region kms.concurrency log.level]\"")
	r.term()

	without := &Exec{}
	c := config.Default()
	id := secret.ID{Name: "a", Auth: "b"}
	c.Env["A"] = config.Text{Parts: []config.Part{{Ref: secret.Ref{ID: id}}}}
	want := []string{
		id.String() + `: the auth profile "b" is new: restart kmsrun to use it`,
		"kmsrun was started with no reference, and so without a way to KMS: restart it",
	}
	for i, err := range Wrapped(without.readable(c)) {
		if err.Error() != want[i] {
			t.Errorf("got %s, want %s", err, want[i])
		}
	}
}

// TestReloadDuringAnOutage: an edit that names nothing new is taken up all the same.
func TestReloadDuringAnOutage(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := beginReloading(t, v, reloads+"env: {A: kms://a}", loops)
	r.says("start one")
	v.fail(outage{})
	r.edit(reloads + "env: {A: 'now ${kms://a}'}") // nothing that we do not have
	r.says("start now one")
	r.edit(reloads + "env: {A: 'new ${kms://new}'}")
	r.logs("the edited declaration is tried again")
	if got := r.said(); strings.Contains(got, "new") {
		t.Errorf("the program said %q", got)
	}
	r.edit(reloads + "env: {A: 'now ${kms://a}', B: b}")
	r.says("start now one\nterm\nstart now one")
	v.fail(nil)
	v.put("a", "v2", "two")
	r.says("start now two")
	r.term()
}

// An edit while the secrets of the start are still being read is not missed.
func TestReloadOfAnEditDuringTheStart(t *testing.T) {
	t.Parallel()
	r := prepare(t, &vault{}, reloads+"env: {A: one}", loops)
	r.edit(reloads + "env: {A: two}")
	file := filepath.Join(r.dir, "kmsrun.yaml")
	r.exec.Reload = func() (config.Config, error) { return config.Load(config.Source{File: file}) }
	r.exec.Inputs = func(config.Config) []string { return []string{file} }
	r.exec = NewExec(r.exec.Plan)
	r.start()
	r.says("start two")
	r.term()
}
