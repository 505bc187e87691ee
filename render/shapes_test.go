package render

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-multierror"
	"go.yaml.in/yaml/v3"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// load loads a declaration as it is written.
func load(t testing.TB, declaration string, environ ...string) config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	if err := os.WriteFile(file, []byte(declaration), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Source{File: file, Environ: append(environ, "ALIBABA_CLOUD_REGION=cn-hangzhou")})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// variables and files are what a declaration renders to.
func rendered(t *testing.T, declaration string, values map[string]string, environ ...string) (variables []string, files map[string]string) {
	t.Helper()
	g, err := Render(load(t, declaration, environ...), "/run/app", snapshotOf(t, values))
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for name, file := range g.Files() {
		files[name] = string(file.content())
	}
	return g.Environ(environ), files
}

const app = `{"dbPassword": "p@ss", "DBHost": "db", "port": 5432, "ratio": 1.10, "big": 12345678901234567890, "none": null, "tls.crt": "CERT\n", "flags": ["a", {"b": null}], "on": true}`

func TestRenderEnvFrom(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		declaration string
		want        []string
	}{
		"keep":  {`env_from: [{from: "kms://app#*", include: [dbPassword, "p*", ratio, big]}]`, []string{"big=12345678901234567890", "dbPassword=p@ss", "port=5432", "ratio=1.10"}},
		"upper": {`env_from: [{from: "kms://app#*", prefix: a_, case: upper, exclude: [flags, big, "?atio"]}]`, []string{"a_DBHOST=db", "a_DBPASSWORD=p@ss", "a_ON=true", "a_PORT=5432", "a_TLS_CRT=CERT\n"}},
		"snake": {`env_from: [{from: "kms://app", prefix: APP_, case: snake, include: ["[dDf]*"]}]`, []string{"APP_DB_HOST=db", "APP_DB_PASSWORD=p@ss", `APP_FLAGS=["a",{"b":null}]`}},
		"deep":  {`env_from: ["kms://deep#/a/b", {from: "kms://deep#jmes:list[?n==` + "`2`" + `] | [0]", prefix: N_}]`, []string{"N_n=2", "x=1"}},
		"slash": {`env_from: [{from: "kms://slash#*", exclude: ["a*"]}]`, []string{"b_c=2"}},
		"keep the first": {
			`{env_from: [{from: "kms://app#*", include: [port]}, {from: "kms://two#*", collide: keep}]}`, []string{"other=2", "port=5432"},
		},
		"replace":           {`{env_from: [{from: "kms://app#*", include: [port]}, {from: "kms://two#*", collide: replace}]}`, []string{"other=2", "port=1"}},
		"env wins":          {`{env: {port: declared, other: ""}, env_from: ["kms://two#*"]}`, []string{"other=", "port=declared"}},
		"over scanned":      {`{env_from: [{from: "kms://two#*", prefix: S_}]}`, []string{"S_other=2", "S_port=1"}},
		"optional, absent":  {`{env_from: ["kms://gone?optional=true#*"]}`, []string{}},
		"default, absent":   {`{env_from: ["kms://gone?default=%7B%22a%22:1%7D#*"]}`, []string{"a=1"}},
		"inherited is lost": {`{scan_env: false, env_from: [{from: "kms://two#*", prefix: S_, include: [port]}]}`, []string{"S_port=1"}},
	} {
		environ := []string{}
		if strings.Contains(test.declaration, "S_") {
			environ = []string{"S_port=kms://two#other"}
		}
		got, _ := rendered(t, test.declaration, map[string]string{
			"kms://app": app, "kms://two": `{"port": 1, "other": 2}`, "kms://deep": `{"a": {"b": {"x": 1}}, "list": [{"n": 1}, {"n": 2}]}`,
			"kms://slash": `{"a/b": 1, "b/c": 2}`, "kms://gone": absent,
		}, environ...)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// absent is, in snapshotOf, a secret that is not there.
const absent = "\x00absent"

func TestRenderEnvFromRefuses(t *testing.T) {
	t.Parallel()
	for declaration, want := range map[string]string{
		`env_from: ["kms://a#*"]`:                                                          `env_from kms://a: key "1st" makes no variable name: want ASCII letters, digits and _, not starting with a digit; exclude it, or set prefix`,
		`env_from: ["kms://b#*"]`:                                                          `env_from kms://b: key "ключ" makes no variable name: want ASCII letters, digits and _, not starting with a digit; exclude it, or set prefix`,
		`env_from: ["kms://c#*"]`:                                                          `env_from kms://c: key "a-b" makes the variable a_b, and so does key "a.b" of kms://c; collide: keep or replace would choose, exclude or prefix tell them apart`,
		`env_from: ["kms://d#*", "kms://d?stage=p#*"]`:                                     `env_from kms://d?stage=p: key "k" makes the variable k, and so does key "k" of kms://d; collide: keep or replace would choose, exclude or prefix tell them apart`,
		`env_from: ["kms://list#*"]`:                                                       `env_from kms://list: kms://list: the value is not a JSON object, so it has no keys`,
		`env_from: ["kms://text#*"]`:                                                       `env_from kms://text: kms://text: the value is not JSON, so it has no keys`,
		`env_from: ["kms://nul#*"]`:                                                        `env_from kms://nul: key "k": the value holds a NUL byte, which no variable can; as=file puts it in a file and gives its path`,
		`env_from: ["kms://d#/gone"]`:                                                      `env_from kms://d: kms://d: no key "gone"; it has "k"`,
		`env: {A: "kms://d#jmes:k.deeper"}`:                                                `env A: kms://d: jmes:k.deeper: it selects nothing`,
		`env: {A: "kms://gone#k", B: "kms://gone#k"}`:                                      `env A: kms://gone: there is no such secret` + "\n" + `env B: kms://gone: there is no such secret`,
		`env: {A: "kms://binary"}`:                                                         `env A: the value is not UTF-8 text; as=file puts it in a file and gives its path`,
		`env: {A: "kms://long"}`:                                                           `env A: the variable would be longer than the system's limit of 131072 bytes; as=file puts it in a file and gives its path`,
		`files: {items: {a: {from: kms://d, decode: base64}}}`:                             `file a: kms://d: decode: base64: the value is not base64`,
		`files: {items: {a: {from: kms://c, format: dotenv}}}`:                             `file a: kms://c: format dotenv: key "a.b": not a variable name: want letters, digits and _, not starting with a digit`,
		`files: {items: {a: {template_text: '{{ secret "d" "gone" }}'}}}`:                  `file a: a:1:3: kms://d: no key "gone"; it has "k"`,
		`files: {items: {a: {template_text: '{{ fail (secret "d" "k") }}'}}}`:              `file a: a:1:3: the function fail fails on what it is given`,
		`files: {items: {a: {template_text: '{{ (secret "d" | fromJson).nope }}'}}}`:       `file a: a:1:17: it fails here, on the value of a secret or for want of a key (hasKey and dig look for one)`,
		`files: {items: {a: {template_text: '{{ index (list) (secret "d" "k") }}'}}}`:      `file a: a:1:3: the function index fails on what it is given`,
		`files: {items: {a: {template_text: '{{ mustRegexMatch (secret "d" "k") "" }}'}}}`: `file a: a:1:3: the function mustRegexMatch fails on what it is given`,
		`files: {items: {a: {template_text: '{{ repeat -1 (secret "d" "k") }}'}}}`:         `file a: a:1:3: the function repeat fails on what it is given`,
		`files: {items: {a: {template_text: '{{ range secret "log" }}{{ end }}'}}}`:        `file a: a:1:16: it fails here, on the value of a secret or for want of a key (hasKey and dig look for one)`,
	} {
		snapshot := snapshotOf(t, map[string]string{
			"kms://log": "x: error calling c4n4ry: y",
			"kms://a":   `{"1st": 1}`, "kms://b": `{"ключ": 1}`, "kms://c": `{"a.b": 1, "a-b": 2}`, "kms://d": `{"k": "[c4n4ry"}`, "kms://d?stage=p": `{"k": "c4n4ry"}`,
			"kms://list": `["c4n4ry"]`, "kms://text": `c4n4ry`, "kms://nul": `{"k": "c4n4ry\u0000"}`, "kms://gone": absent, "kms://long": strings.Repeat("c4n4ry ", 20_000),
		})
		binary := plaintext("//8=")
		binary.Binary = true
		snapshot = snapshot.With(parseRef(t, "kms://binary").ID, binary)
		_, err := Render(load(t, declaration), "/run/app", snapshot)
		if got := strings.Join(errorLines(t, err), "\n"); got != want || strings.Contains(got, "c4n4ry") {
			t.Errorf("%s:\ngot  %s\nwant %s", declaration, got, want)
		}
	}
}

func TestRenderOptional(t *testing.T) {
	t.Parallel()
	variables, files := rendered(t, `
env:
  A: kms://gone?optional=true#k
  B: kms://app?optional=true#nope
  C: "x ${kms://gone?optional=true} ${kms://app#port}"
  D: kms://gone?default=a%20b%23
  E: "${kms://app?default=%24%20x#none|urlencode}"
  F: kms://app?optional=true#port
  G: kms://app?default=#none
  H: kms://gone?optional=true&as=file
  I: kms://app?as=file#port
  J: "kms://app?optional=true#jmes:flags[5]"
files:
  items:
    a: kms://gone?optional=true
    b: {from: "kms://gone?optional=true#*", format: json}
    c: {from: "kms://gone?default=%7B%7D#*", format: json}
    d: {template_text: '[{{ secret "gone?optional=true" "k" }}{{ secret "app?default=z" "none" }}]'}
`, map[string]string{"kms://app": app, "kms://gone": absent}, "A=inherited", "SCANNED=kms://gone?optional=true", "OTHER=1")
	want := []string{"OTHER=1", "D=a b#", "E=%24%20x", "F=5432", "G=", "I=/run/app/.env/I"}
	if !slices.Equal(variables, want) {
		t.Errorf("variables: got %q, want %q", variables, want)
	}
	wantFiles := map[string]string{".env/I": "5432", "c": "{}\n", "d": "[z]"}
	if !maps.Equal(files, wantFiles) {
		t.Errorf("files: got %q, want %q", files, wantFiles)
	}
}

// A file of as=file that changes is a file that changes; a variable that is there no
// more is a variable that changes.
func TestSinceOfShapes(t *testing.T) {
	t.Parallel()
	c := load(t, `env: {FILE: "kms://app?as=file#port", GONE: "kms://app?optional=true#k", SAME: kms://app#on}`)
	fd := config.Text{Parts: []config.Part{{Ref: parseRef(t, "kms://app?as=fd#port")}}}
	c.Env["FD"] = fd
	before, err := Render(c, "/d", snapshotOf(t, map[string]string{"kms://app": `{"port": 1, "k": "", "on": 1}`}))
	if err != nil {
		t.Fatal(err)
	}
	after, err := Render(c, "/d", snapshotOf(t, map[string]string{"kms://app": `{"port": 2, "on": 1}`}))
	if err != nil {
		t.Fatal(err)
	}
	want := Change{Env: []string{"FD", "GONE"}, Files: []string{".env/FILE"}}
	if got := after.Since(before); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := after.FDs(); len(got) != 1 || string(got["FD"]) != "2" {
		t.Errorf("fds: got %q", got)
	}
	if got, want := before.Environ([]string{"FD=inherited"}), []string{"FILE=/d/.env/FILE", "GONE=", "SAME=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRenderBinary(t *testing.T) {
	t.Parallel()
	c := load(t, `
env: {TEXT: kms://text, JSON: kms://json#k, TWICE: "${kms://binary|base64}"}
files:
  items:
    auto: kms://binary
    none: {from: kms://binary, decode: none}
    plain: kms://plain
    key: {from: kms://keys#store, decode: base64}
    loose: {from: kms://keys#loose, decode: base64}
    notkey: kms://keys#store
`)
	snapshot := snapshotOf(t, map[string]string{"kms://keys": `{"store": "/wD/", "loose": "_w\nD_\n"}`})
	for name, value := range map[string]string{"binary": "/wD/", "text": "dGV4dA==", "json": "eyJrIjogMX0=", "plain": "not base64!"} {
		v := plaintext(value)
		v.Binary = true
		snapshot = snapshot.With(parseRef(t, "kms://"+name).ID, v)
	}
	g, err := Render(c, "/d", snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := g.Environ(nil), []string{"JSON=1", "TEXT=text", "TWICE=/wD/"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	want := map[string]string{
		"auto": "\xff\x00\xff", "none": "/wD/", "plain": "not base64!", "key": "\xff\x00\xff", "loose": "\xff\x00\xff", "notkey": "/wD/",
	}
	for name, content := range want {
		if got := string(g.Files()[name].content()); got != content {
			t.Errorf("%s: got %q, want %q", name, got, content)
		}
	}
}

func TestRenderFormats(t *testing.T) {
	t.Parallel()
	_, files := rendered(t, `
kms: {region: cn-beijing}
files:
  items:
    a.json: {from: "kms://app#*", format: json}
    part.json: {from: "kms://app#/flags", format: json}
    a.yaml: {from: "kms://app#*", format: yaml}
    some.env: {from: "kms://app#jmes:{PORT: port, RATIO: ratio, BIG: big, HOST: DBHost}", format: dotenv}
    some.properties: {from: "kms://app", format: properties}
    config.json: {from: "kms://acs/ram/user/ci?region=cn-hangzhou", format: profile}
    app.ini: {template_text: "{{ $app := secret \"app\" | fromJson }}{{ range $k := keys $app | sortAlpha }}{{ $k }} {{ end }}{{ secret \"app\" \"ratio\" }} {{ get $app \"DBHost\" | quote }}\n"}
`, map[string]string{"kms://app": app, "kms://acs/ram/user/ci?region=cn-hangzhou": `{"AccessKeyId": "id", "AccessKeySecret": "<&>", "GenerateTimestamp": "t"}`})
	want := map[string]string{
		"a.json": `{
  "dbPassword": "p@ss",
  "DBHost": "db",
  "port": 5432,
  "ratio": 1.10,
  "big": 12345678901234567890,
  "none": null,
  "tls.crt": "CERT\n",
  "flags": [
    "a",
    {
      "b": null
    }
  ],
  "on": true
}
`,
		"part.json": "[\n  \"a\",\n  {\n    \"b\": null\n  }\n]\n",
		"a.yaml": `"dbPassword": "p@ss"
"DBHost": "db"
"port": 5432
"ratio": 1.10
"big": 12345678901234567890
"none": null
"tls.crt": "CERT\n"
"flags":
  - "a"
  - "b": null
"on": true
`,
		"some.env":        "BIG=12345678901234567890\nHOST=db\nPORT=5432\nRATIO=1.10\n",
		"some.properties": "dbPassword=p@ss\nDBHost=db\nport=5432\nratio=1.10\nbig=12345678901234567890\ntls.crt=CERT\\n\nflags=[\"a\",{\"b\"\\:null}]\non=true\n",
		"config.json": `{
  "current": "default",
  "profiles": [
    {
      "name": "default",
      "mode": "AK",
      "access_key_id": "id",
      "access_key_secret": "<&>",
      "region_id": "cn-hangzhou",
      "output_format": "json",
      "language": "en"
    }
  ]
}
`,
		"app.ini": "DBHost big dbPassword flags none on port ratio tls.crt 1.10 \"db\"\n",
	}
	for name, content := range want {
		if files[name] != content {
			t.Errorf("%s: got\n%s\nwant\n%s", name, files[name], content)
		}
	}
}

// FuzzYAML holds that what is written is read back by a YAML library as it was.
func FuzzYAML(f *testing.F) {
	for _, document := range []string{app, `{"yes": "no", "~": "~", "<<": "<<", "1": "0o7", "": "2001-01-01", "a": "\u0085\u2028\u0000\ufeff"}`, `[]`, `{}`, `""`, `{"a": {}, "b": [[], [1, [2]]]}`, `1.10`, `{"a": 1, "a": 2}`} {
		f.Add(document)
	}
	f.Fuzz(func(t *testing.T, document string) {
		var want any
		if json.Unmarshal([]byte(document), &want) != nil || strings.ContainsAny(document, "0123456789") && strings.ContainsAny(document, "eE.") {
			t.Skip("no JSON, or a number that the library may know as an int or a float")
		}
		file, err := writeYAML([]byte(document), config.Config{})
		if err != nil {
			t.Fatalf("%q: %v", document, err)
		}
		var read any
		if err := yaml.Unmarshal(file, &read); err != nil {
			t.Fatalf("%q is written as %q: %v", document, file, err)
		}
		text, err := json.Marshal(read)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", document, file, err)
		}
		var got any
		if err := json.Unmarshal(text, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is written as %q, which reads %v, %v, want %v", document, file, got, err, want)
		}
	})
}

// BenchmarkRender renders 500 items over 200 secrets.
func BenchmarkRender(b *testing.B) {
	var declaration strings.Builder
	declaration.WriteString("env:\n")
	var snapshot secret.Snapshot
	for i := range 200 {
		name := "kms://prod/" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		ref, err := secret.ParseRef(name)
		if err != nil {
			b.Fatal(err)
		}
		snapshot = snapshot.With(ref.ID, plaintext(`{"user": "app", "password": "p@ss", "deep": {"list": [1, 2, 3]}, "cert": "`+strings.Repeat("x", 2000)+`"}`))
		declaration.WriteString("  P" + strings.Repeat("_", i) + ": " + name + "#password\n")
		if i < 100 {
			declaration.WriteString("  U" + strings.Repeat("_", i) + ": \"pg://app:${" + name + "#password|urlencode}@db\"\n")
		}
	}
	declaration.WriteString("files:\n  items:\n")
	for i := range 200 {
		name := "prod/" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		item := []string{
			`{from: "kms://` + name + `#*", format: properties}`, `kms://` + name + `#cert`,
			`{template_text: '{{ secret "` + name + `" "user" }}'}`, `{from: "kms://` + name + `#jmes:deep.list[-1]"}`,
		}[i%4]
		declaration.WriteString("    f" + strings.Repeat("x", i) + ": " + item + "\n")
	}
	c := load(b, declaration.String())
	if got := len(c.Env) + len(c.Files.Items); got != 500 || len(snapshot.IDs()) != 200 {
		b.Fatalf("got %d items over %d secrets, want 500 over 200", got, len(snapshot.IDs()))
	}
	for b.Loop() {
		if _, err := Render(c, "/run/app", snapshot); err != nil {
			all, _ := errors.AsType[*multierror.Error](err)
			b.Fatal(all.WrappedErrors()[0])
		}
	}
}
