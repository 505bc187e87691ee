package render

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// declare makes a declaration of texts by variable and by file.
func declare(t *testing.T, env, files map[string]string) config.Config {
	t.Helper()
	c := config.Default()
	parse := func(text string) config.Text {
		var out config.Text
		if err := out.UnmarshalText([]byte(text)); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return out
	}
	for name, text := range env {
		c.Env[name] = parse(text)
	}
	for name, text := range files {
		c.Files.Items[name] = config.Item{From: parse(text)}
	}
	return c
}

// snapshotOf makes a snapshot of values by reference.
func snapshotOf(t *testing.T, values map[string]string) secret.Snapshot {
	t.Helper()
	var s secret.Snapshot
	for text, value := range values {
		v := plaintext(value)
		if value == absent {
			v = secret.Value{Absent: true}
		}
		s = s.With(parseRef(t, text).ID, v)
	}
	return s
}

// contents is each file's mode and text.
func contents(files map[string]File) map[string]string {
	texts := map[string]string{}
	for name, file := range files {
		texts[name] = file.Mode.String() + " " + string(file.content())
	}
	return texts
}

func errorLines(t *testing.T, err error) []string {
	t.Helper()
	all, ok := errors.AsType[*multierror.Error](err)
	if !ok {
		t.Fatalf("got %v, want a *multierror.Error", err)
	}
	var texts []string
	for _, err := range all.WrappedErrors() {
		texts = append(texts, err.Error())
	}
	return texts
}

func TestRender(t *testing.T) {
	t.Parallel()
	c := declare(t, map[string]string{
		"PLAIN":    "text",
		"EMPTY":    "",
		"PASSWORD": "kms://db#password",
		"URL":      "postgres://app:${kms://db#password|urlencode}@db/app?sslkey=${files_dir}/tls.key",
		"OLD":      "kms://db?stage=ACSPrevious#password",
		"PINNED":   "kms://db?version=1#password",
	}, map[string]string{
		"tls.key":  "kms://binary",
		"conf/ini": "dir=${files_dir}\npassword=${kms://db#password}\n",
	})
	item := c.Files.Items["tls.key"]
	item.Mode = 0o440
	c.Files.Items["tls.key"] = item
	g, err := Render(c, "/run/app", snapshotOf(t, map[string]string{
		"kms://binary":               "\x00binary\xff",
		"kms://db":                   `{"password": "p@ss word"}`,
		"kms://db?stage=ACSPrevious": `{"password": "before"}`,
		"kms://db?version=1":         `{"password": "first"}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	wantEnv := []string{
		"EMPTY=", "OLD=before", "PASSWORD=p@ss word", "PINNED=first", "PLAIN=text",
		"URL=postgres://app:p%40ss%20word@db/app?sslkey=/run/app/tls.key",
	}
	if got := g.Environ(nil); !slices.Equal(got, wantEnv) {
		t.Errorf("env: got %q, want %q", got, wantEnv)
	}
	wantFiles := map[string]string{
		"tls.key":  "-r--r----- \x00binary\xff",
		"conf/ini": "-r-------- dir=/run/app\npassword=p@ss word\n",
	}
	if got := contents(g.Files()); !maps.Equal(got, wantFiles) {
		t.Errorf("files: got %q, want %q", got, wantFiles)
	}
}

// Every way to fail comes out in one error, which never quotes a value.
func TestRenderTellsAllFailures(t *testing.T) {
	t.Parallel()
	c := declare(t, map[string]string{
		"FINE":     "kms://db#password",
		"MISSING":  "${kms://db#password}${kms://db#user}${kms://gone}", // the first failure of a text is enough
		"GONE":     "kms://gone",
		"STAGE":    "kms://db?stage=ACSPrevious#password",
		"NUL":      "kms://binary",
		"ESCAPED":  "kms://db#nul",
		"NOT_JSON": "kms://binary#key",
		"DEEP":     "kms://db#/password/deeper",
		"ELEMENT":  "kms://db#/list/2",
		"QUOTED":   "kms://text#key",
	}, map[string]string{
		"json":   "{\"key\": ${kms://binary|json}}",
		"fine":   "kms://binary",
		"a/gone": "kms://gone#key",
	})
	_, err := Render(c, "/run/app", snapshotOf(t, map[string]string{
		"kms://db":     `{"password": "` + canary + `", "nul": "` + canary + `\u0000", "list": ["` + canary + `", 1]}`,
		"kms://binary": canary + "\x00\xff",
		"kms://text":   `"` + canary + `"`,
	}))
	const nul = "the value holds a NUL byte, which no variable can; as=file puts it in a file and gives its path"
	want := []string{
		`env DEEP: kms://db in /password: no key "deeper"; it is a single JSON value`,
		`env ELEMENT: kms://db in /list: no element "2"; it is an array of 2`,
		`env ESCAPED: ` + nul,
		`env GONE: its secret was not read`,
		`env MISSING: kms://db: no key "user"; it has "list", "nul", "password"`,
		`env NOT_JSON: kms://binary: the value is not JSON, so it has no key "key"; without #key it is taken whole`,
		`env NUL: ` + nul,
		`env QUOTED: kms://text: no key "key"; it is a single JSON value`,
		`env STAGE: its secret was not read`,
		`file a/gone: its secret was not read`,
		`file json: filter json: the value is not UTF-8 text`,
	}
	if got := errorLines(t, err); !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	if !errors.Is(err, ErrNotFetched) {
		t.Error("got no ErrNotFetched, want it to be found")
	}
	if leaks(err.Error()) {
		t.Errorf("got %s, want no plaintext", err)
	}
}

// A selected value must not be the snapshot's own bytes: two files of one secret
// would share them.
func TestRenderCopiesValues(t *testing.T) {
	t.Parallel()
	snapshot := snapshotOf(t, map[string]string{"kms://db": "value"})
	g, err := Render(declare(t, nil, map[string]string{"a": "kms://db"}), "", snapshot)
	if err != nil {
		t.Fatal(err)
	}
	g.Files()["a"].content()[0] = 'X'
	if v, _ := snapshot.Get(parseRef(t, "kms://db").ID); string(v.Bytes()) != "value" {
		t.Errorf("got %q, want %q", v.Bytes(), "value")
	}
}
