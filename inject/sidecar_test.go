package inject

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kmsrun/kmsrun/secret"
)

// alone is a sidecar in a directory of the test's. The command of tells says in $DIR/said
// what the file is by then.
func alone(t *testing.T, v *vault, files, declaration string) *run {
	t.Helper()
	r := prepare(t, v, watched+"files: {grace: 50ms, items: {f: kms://f}}\n"+declaration, "")
	r.exec.Argv = nil
	if files != "" {
		r.files = files
		r.exec.Config.Files.Dir = files
	}
	r.exec = NewExec(r.exec.Plan)
	return r
}

const tells = `on_change: {files: {exec: [sh, -c, 'echo "told $(cat $SECRETS_DIR/f)" >>$DIR/said']}}`

func (r *run) begun() {
	r.t.Helper()
	r.await("the start", r.exec.State().Started)
}

// ends a sidecar, whose status is then 0.
func (r *run) quit(s syscall.Signal) {
	r.t.Helper()
	r.signals <- s
	if status, err := r.wait(); status != (Status{}) || err != nil {
		r.t.Errorf("got %v %v, want 0", status, err)
	}
}

// TestSidecar publishes, tells of changes and not of the first files, and ends when asked,
// leaving the files.
func TestSidecar(t *testing.T) {
	t.Parallel()
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		v := &vault{}
		v.put("f", "v1", "one")
		r := alone(t, v, "", tells)
		r.start()
		r.begun()
		v.put("f", "v2", "two")
		r.says("told two")
		r.signals <- syscall.SIGUSR1 // means nothing
		r.signals <- syscall.SIGWINCH
		v.put("f", "v3", "three")
		r.says("told three")
		if got, want := r.said(), "told two\ntold three\n"; got != want {
			t.Errorf("told: got %q, want %q", got, want)
		}
		if status := r.exec.status(); status.Child != nil || status.Action == nil || status.Action.Action != "exec" {
			t.Errorf("status: got %+v, want no child, and an exec", status)
		}
		r.quit(end)
		if got := r.file("f"); got != "three" {
			t.Errorf("after the end: got %q, want the file to stay", got)
		}
	}
}

// TestSidecarRemovesFiles where that is declared.
func TestSidecarRemovesFiles(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := prepare(t, v, "files: {keep_on_exit: false, items: {f: kms://f}}", "")
	r.exec.Argv = nil
	r.exec = NewExec(r.exec.Plan)
	r.start()
	r.begun()
	r.quit(syscall.SIGTERM)
	if _, err := os.Lstat(filepath.Join(r.files, "f")); err == nil {
		t.Error("the file is still there")
	}
}

// TestSidecarAfterAPredecessor, an init container or a sidecar before: what is the same is not
// written again, and told to nobody; what is not is published, and told.
func TestSidecarAfterAPredecessor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, found, want string }{
		{"nothing", "", ""}, {"the same", "two", ""}, {"an older one", "one", "told two\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := &vault{}
			dir := filepath.Join(memory(t), "files")
			if c.found != "" {
				v.put("f", "v1", c.found)
				first := alone(t, v, dir, tells)
				if _, err := first.exec.Publish(); err != nil {
					t.Fatal(err)
				}
			}
			check := func() {}
			if c.name == "the same" {
				check = stillness(t, dir)
			}
			v.put("f", "v2", "two")
			r := alone(t, v, dir, tells)
			r.start()
			r.begun()
			if c.want != "" {
				r.says("told two")
				r.logs(`msg="readers of the files that were there may not know these" files=[f]`)
			}
			r.polls(v, 5)
			r.quit(syscall.SIGTERM)
			check()
			if got := r.said(); got != c.want || r.file("f") != "two" {
				t.Errorf("got %q and the file %q, want %q and two", got, r.file("f"), c.want)
			}
		})
	}
}

// TestSidecarKeepsFilesWhenItCannotStart: the app beside it may be running with them.
func TestSidecarKeepsFilesWhenItCannotStart(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	dir := filepath.Join(memory(t), "files")
	if _, err := alone(t, v, dir, "").exec.Publish(); err != nil {
		t.Fatal(err)
	}
	v.fail(errors.New("denied"))
	r := alone(t, v, dir, "")
	r.start()
	if _, err := r.wait(); err == nil || r.file("f") != "one" {
		t.Errorf("got %v and the file %q, want an error and one", err, r.file("f"))
	}
}

// TestSidecarSignals: HUP reads at once, be the interval an hour; TERM before the first files ends it
// as it ends a program.
func TestSidecarSignals(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := alone(t, v, "", tells)
	r.exec.Config.Watch.Interval = 1 << 40
	r.exec = NewExec(r.exec.Plan)
	r.start()
	r.begun()
	v.put("f", "v2", "two")
	r.signals <- syscall.SIGHUP
	r.says("told two")
	r.quit(syscall.SIGTERM)

	early := alone(t, v, "", "")
	early.exec.FetchFirst = func(ctx, _ context.Context, _ secret.ID) (secret.Value, error) {
		early.signals <- syscall.SIGTERM
		<-ctx.Done()
		return secret.Value{}, ctx.Err()
	}
	early.exec = NewExec(early.exec.Plan)
	early.start()
	if status, err := early.wait(); err != nil || status.ExitCode() != 143 {
		t.Errorf("TERM before the first files: got %v %v, want 143", status, err)
	}
}

// TestSidecarStaysWithPinnedSecrets: there is nothing to watch, and yet an end would be a restart.
func TestSidecarStaysWithPinnedSecrets(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := prepare(t, v, "files: {items: {f: 'kms://f?version=v1'}}", "")
	r.exec.Argv = nil
	r.exec = NewExec(r.exec.Plan)
	r.start()
	r.begun()
	r.signals <- syscall.SIGHUP
	r.logs("nothing is watched: every secret is pinned to a version")
	if r.exec.State().Refresh() {
		t.Error("refresh: got true, want that nothing is watched")
	}
	r.quit(syscall.SIGTERM)
}

// TestSidecarEndsPromptly in the middle of whatever tells others, and of a verification.
func TestSidecarEndsPromptly(t *testing.T) {
	t.Parallel()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer refuses.Close()
	for _, c := range []struct{ name, declaration, met string }{
		{"a POST that is tried again", `on_change: {files: {http: "` + refuses.URL + `"}}`, "trying again"},
		{"a command", `on_change: {files: {exec: [sh, -c, 'echo at work >>$DIR/said; exec sleep 600'], timeout: 600s}}`, ""},
		{"a verification", `verify: {exec: [sh, -c, 'echo at work >>$DIR/said; exec sleep 600'], timeout: 600s}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := &vault{}
			v.put("f", "v1", "one")
			r := alone(t, v, "", c.declaration)
			r.start()
			r.begun()
			v.put("f", "v2", "two")
			if c.met != "" {
				r.logs(c.met)
			} else {
				r.says("at work")
			}
			r.quit(syscall.SIGTERM)
			if want := map[bool]string{true: "one", false: "two"}[c.name == "a verification"]; r.file("f") != want {
				t.Errorf("the file: got %q, want %q", r.file("f"), want)
			}
		})
	}
}

// TestSidecarLeavesWord of what it could not tell when it was asked to end: the next one tells it, once.
func TestSidecarLeavesWord(t *testing.T) {
	t.Parallel()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	defer refuses.Close()
	v := &vault{}
	v.put("f", "v1", "one")
	dir := filepath.Join(memory(t), "files")
	first := alone(t, v, dir, `on_change: {files: {http: "`+refuses.URL+`"}}`)
	first.start()
	first.begun()
	v.put("f", "v2", "two")
	first.logs("trying again")
	first.quit(syscall.SIGTERM)
	first.logs("a change was not told; the next sidecar of this directory will")
	for _, want := range []string{"told two\n", ""} {
		next := alone(t, v, dir, tells)
		next.start()
		next.begun()
		if want != "" {
			next.says("told two")
		}
		next.polls(v, 5)
		next.quit(syscall.SIGTERM)
		if got := next.said(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestSidecarVerifies: a change that fails is told to nobody, and the next one is taken.
func TestSidecarVerifies(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before", "after"} {
		v := &vault{}
		v.put("f", "v1", "one")
		r := alone(t, v, "", tells+"\nverify: {when: "+when+`, exec: [sh, -c, '! grep -q bad $SECRETS_DIR/f']}`)
		r.start()
		r.begun()
		v.put("f", "v2", "bad")
		r.logs("did not pass verification; keeping the present ones")
		v.put("f", "v3", "three")
		r.says("told three")
		r.quit(syscall.SIGTERM)
		if got, want := r.said(), "told three\n"; got != want {
			t.Errorf("%s: told %q, want %q", when, got, want)
		}
	}
}

// TestSidecarHolds: on hold nothing is published or told, and it ends all the same.
func TestSidecarHolds(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := alone(t, v, "", tells)
	r.start()
	r.begun()
	r.exec.State().Hold(true)
	r.logs("on hold")
	v.put("f", "v2", "two")
	r.polls(v, 5)
	if r.said() != "" || r.file("f") != "one" {
		t.Errorf("on hold: told %q, and the file is %q", r.said(), r.file("f"))
	}
	r.exec.State().Hold(false)
	r.says("told two")
	r.exec.State().Hold(true)
	r.quit(syscall.SIGTERM)
}

// TestSidecarExpires: too old a secret ends it with 124, and its files stay.
func TestSidecarExpires(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := alone(t, v, "", "")
	expired := make(chan struct{})
	r.exec.Expired = expired
	r.exec = NewExec(r.exec.Plan)
	r.start()
	r.begun()
	close(expired)
	if status, err := r.wait(); err != nil || status.ExitCode() != StatusTemporary || r.file("f") != "one" {
		t.Errorf("got %v %v, and the file %q; want 124 and one", status, err, r.file("f"))
	}
}

// TestSidecarReloads: an edit brings another file, which is told as a change is.
func TestSidecarReloads(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	v.put("g", "v1", "one")
	declaration := watched + tells + "\nfiles: {items: {f: kms://f}}"
	r := beginReloadingAlone(t, v, declaration)
	r.begun()
	r.edit(strings.Replace(declaration, "{f: kms://f}", "{f: kms://f, g: kms://g}", 1))
	r.says("told one")
	r.quit(syscall.SIGTERM)
	if got := r.file("g"); got != "one" {
		t.Errorf("the new file: got %q, want one", got)
	}
}

func TestSecretsOf(t *testing.T) {
	t.Parallel()
	r := prepare(t, &vault{}, "files: {items: {f: kms://a, g: {template_text: '{{secret \"b\" \"k\"}}{{secret \"c\" \"k\"}}'}}}", "")
	var names []string
	for _, id := range secretsOf([]string{"g", "gone"}, r.exec.Config) {
		names = append(names, id.Name)
	}
	if want := []string{"b", "c"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
}
