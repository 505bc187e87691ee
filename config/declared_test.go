package config

import (
	"slices"
	"strings"
	"testing"
)

const onlyMany = "selector * gives many values: it is for env_from, and for files with a format of json, yaml, dotenv, docker-env, properties, profile"

const notLiteral = `want secret "NAME[?options]" "SELECTOR", in literals: what is fetched is found before anything is executed`

// invalidShapes pairs testdata/invalid-NAME.yaml with its error lines, like invalid.
var invalidShapes = map[string][]string{
	"as": {
		`:5: env.INSIDE: as=file is for a variable that is one reference and nothing else`,
		`:6: env.FILTERED: as=file is for a variable that is one reference and nothing else`,
		`:8: env_from.0.from: as=file is for a variable that is one reference and nothing else`,
		`:11: files.items..env: .env is where the files of as=file lie, as of env.FINE`,
		`:12: files.items..env/a: ".env" is a file, and can't be a directory too`,
		`:12: files.items..env/a: .env is where the files of as=file lie, as of env.FINE`,
		`:13: files.items.b: as=file is for a variable that is one reference and nothing else`,
	},
	"many-values": {`:3: env.A: ` + onlyMany, `:6: files.items.a: ` + onlyMany, `:7: files.items.b: ` + onlyMany},
	"env-from": {
		`:3: env_from.1: want from: a reference such as kms://NAME#*`,
		`:4: env_from.2.from: want one reference and nothing else, such as kms://NAME#*`,
		`:4: env_from.2.case: want keep, upper or snake, got "lower"`,
		`:5: env_from.3.prefix: want letters, digits and _, not starting with a digit, got "1_"`,
		`:5: env_from.3.collide: want error, keep or replace, got "merge"`,
		`:6: env_from.4.include: want a glob with *, ? and [a-z], got "[a"`,
		`:6: env_from.4.exclude: want a glob with *, ? and [a-z], got "b\\"`,
		`:7: env_from.5.from: want one reference and nothing else, such as kms://NAME#*`,
		`:8: env_from.6.form: unknown key; known here: case, collide, exclude, from, include, prefix`,
		`:8: env_from.6: want from: a reference such as kms://NAME#*`,
		`:9: env_from.7: character 8: name "a b": ` + badName,
		`:10: env_from.8: want a map`,
	},
	"item-format": {
		`:4: files.items.a.format: want raw, json, yaml, dotenv, docker-env, properties, profile, got "toml"`,
		`:5: files.items.b.format: format json wants from: one reference and nothing else`,
		`:6: files.items.c.format: format dotenv wants from: one reference and nothing else`,
		`:7: files.items.d.decode: want auto, none or base64, got "hex"`,
		`:8: files.items.e.decode: decode: base64 wants from: one reference and nothing else, and format: raw`,
		`:9: files.items.f.decode: decode: none wants from: one reference and nothing else, and format: raw`,
		`:10: files.items.g: want one of from, template and template_text`,
		`:11: files.items.h.format: format yaml wants from: one reference and nothing else`,
		`:12: files.items.i.format: format profile is for the access key of a RAM user, acs/ram/user/NAME`,
	},
	"managed": {
		`:3: env.A: kms://acs/ram/user/ci is a RAM user's access key, with no key "AccessKeyID"; want one of AccessKeyId, AccessKeySecret, GenerateTimestamp`,
		`:4: env.B: kms://acs/ecs/i-1 is the login of an ECS instance, with no key "Key"; want one of UserName, Password, PublicKey, PrivateKey`,
		`:5: env.C: kms://acs/ram/user/ci?stage=blue is managed: want stage ACSCurrent or ACSPrevious, it has no other`,
	},
	"template": {
		`:3: files.items.a.template_text: a:1: function "nope" not defined`,
		`:4: files.items.b.template_text: b:1:16: ` + notLiteral,
		`:5: files.items.c.template_text: c:1:15: ` + notLiteral,
		`:6: files.items.d.template_text: d:1:9: ` + notLiteral,
		`:7: files.items.e.template_text: e:1:3: ` + notLiteral,
		`:8: files.items.f.template_text: f:1:3: "kms://a ": name "a b": ` + badName,
		`:9: files.items.g.template_text: g:1:3: selector * is for env_from and for files with a format; take the whole secret and fromJson`,
		`:10: files.items.h.template_text: h:1:3: as=file is for variables`,
		`:11: files.items.i.template_text: i:1:3: want one selector, behind # or as the second argument`,
		`:12: files.items.j.template: reading the template "testdata/gone.tmpl": no such file or directory`,
		`:13: files.items.k.template: testdata/bad.tmpl:3: unclosed action started at testdata/bad.tmpl:2`,
		`:14: files.items.l.template_text: l:1:21: ` + notLiteral,
	},
}

func TestLoadInvalidShapes(t *testing.T) {
	t.Parallel()
	for name, rows := range invalidShapes {
		file := "testdata/invalid-" + name + ".yaml"
		var want []string
		for _, line := range rows {
			want = append(want, file+line)
		}
		_, err := Load(Source{File: file, Environ: []string{"ALIBABA_CLOUD_REGION=cn-hangzhou"}})
		if got := lines(t, err); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", file, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}

func TestTemplateRefs(t *testing.T) {
	t.Parallel()
	template := Template{Name: "t", Stage: "ACSPrevious", Text: `{{ define "x" }}{{ if secret "in/define" "k" }}{{ end }}{{ end -}}
{{ with $p := (secret "a" "k" | quote) }}{{ $p }}{{ else }}{{ secret "b?stage=s" "/c/d" }}{{ end }}
{{ range $i, $x := fromJson (secret "kms://c") }}{{ template "x" (printf "%s" (secret "a" "k")) }}{{ end }}{{ secret "d#k" }}
{{ (secret "e" | fromJson).field }}{{ block "y" . }}{{ secret "f?default=x" "jmes:a.b" }}{{ end }}`}
	if err := template.collect(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, ref := range template.Refs {
		got = append(got, ref.String())
	}
	slices.Sort(got)
	want := []string{
		"kms://a?stage=ACSPrevious#k", "kms://b?stage=s#/c/d", "kms://c?stage=ACSPrevious", "kms://d?stage=ACSPrevious#k",
		"kms://e?stage=ACSPrevious", "kms://f?stage=ACSPrevious&default=x#jmes:a.b", "kms://in/define?stage=ACSPrevious#k",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// --stage is the stage of every reference that says none, wherever it stands.
func TestLoadStage(t *testing.T) {
	t.Parallel()
	c, err := Load(Source{
		File: "testdata/shapes.yaml", Stage: "ACSPrevious", Environ: []string{"ALIBABA_CLOUD_REGION=cn-hangzhou", "SCANNED=kms://scanned"},
		Overrides: []Override{{[]string{"files", "items", "page"}, "kms://flag", "--file page"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range c.IDs() {
		if want := map[string]string{"said": "ACSCurrent", "custom": "blue"}[id.Name]; id.Stage != want && (want != "" || id.Stage != "ACSPrevious") {
			t.Errorf("%s: got stage %q", id.Name, id.Stage)
		}
	}
	if got, want := len(c.IDs()), 10; got != want {
		t.Errorf("got %d ids, want %d: %v", got, want, c.IDs())
	}
	if got, want := c.TemplateFiles(), []string{"testdata/good.tmpl"}; !slices.Equal(got, want) {
		t.Errorf("template files: got %q, want %q", got, want)
	}
	for _, id := range c.IDs() {
		if got, want := c.Dispensable(id), id.Name == "may/lack"; got != want {
			t.Errorf("%s is dispensable: got %t, want %t", id.Name, got, want)
		}
	}
}

// FuzzCollect holds that no template panics the collector, and that what it takes has
// no call of secret that is not collected.
func FuzzCollect(f *testing.F) {
	for _, text := range []string{
		`{{ secret "a" "b" }}`, `{{ "x" | secret "a" }}`, `{{ $s := secret }}`, `{{ call secret "a" }}`, `{{ (secret "a").b }}`,
		`{{ template "x" secret "a" }}`, `{{ define "a" }}{{ secret "b" }}{{ end }}`, `{{ if and (secret "a") 1 }}{{ break }}{{ end }}`,
		`{{ range $secret := list 1 }}{{ $secret }}{{ end }}`, `{{/* secret */}}`, `{{ .secret "a" }}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		template := Template{Name: "t", Text: text, Stage: "s"}
		if template.collect() != nil {
			return
		}
		parsed, err := template.Parsed()
		if err != nil {
			t.Fatalf("%q was collected, and now: %v", text, err)
		}
		for _, one := range parsed.Templates() { // as the package prints a tree, names of functions stand free
			if one.Tree != nil && strings.Contains(one.Root.String(), "{{secret ") && len(template.Refs) == 0 {
				t.Errorf("%q: nothing was collected", text)
			}
		}
	})
}
