package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func declared(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSidecar: what says something of a program is a fault where there is none, with its line.
func TestSidecar(t *testing.T) {
	t.Parallel()
	const endpoint = "kms: {endpoint: kms.example.com}\n"
	good := endpoint + `files: {keep_on_exit: false, items: {a: kms://a, b: {from: kms://a, on_change: none}, c: {from: kms://a, on_change: {signal: HUP, pid_file: /run/x}}}}
on_change: {files: {signal: HUP, process: nginx}}
verify: {exec: ["true"], when: after}
watch: {max_stale: 5m, on_stale: exit, reload: all}
`
	for text, want := range map[string][]string{
		good: nil,
		endpoint + `env: {A: kms://a, B: plain, C: 'kms://a?as=file'}
env_from: [kms://a]
child:
  user: app
  pre_stop: [x]
  sockets: ['tcp://127.0.0.1:80', 'tcp://127.0.0.1:81']
health: {settle: 0s}
on_change: {env: exit, splay: 1s, min_interval: 1s, max_per_hour: 1, files: SIGHUP}
files:
  items:
    a: {from: kms://a, on_change: restart}
    b: {from: kms://a, on_change: {signal: HUP}}
    c: {from: kms://a, on_change: {process: x}}
`: {
			`:2: env.A: a sidecar starts no program that a variable could be given to: want a file`,
			`:2: env.B: a sidecar starts no program that a variable could be given to: want a file`,
			`:2: env.C: a sidecar starts no program that a variable could be given to: want a file`,
			`:3: env_from.0: a sidecar starts no program that variables could be given to: want a file`,
			`:5: child.user: a sidecar starts no program`,
			`:6: child.pre_stop: a sidecar starts no program`,
			`:7: child.sockets: a sidecar starts no program`,
			`:8: health.settle: a sidecar starts no program`,
			`:9: on_change.env: a sidecar starts no program`,
			`:9: on_change.max_per_hour: a sidecar starts no program`,
			`:9: on_change.min_interval: a sidecar starts no program`,
			`:9: on_change.splay: a sidecar starts no program`,
			`:9: on_change.files: a sidecar starts no program that could be signalled: want process or pid_file with the signal, as in {signal: SIGHUP, process: nginx}`,
			`:12: files.items.a.on_change: a sidecar starts no program, and so restarts none: want a signal with process or pid_file, exec, http or touch`,
			`:13: files.items.b.on_change: a sidecar starts no program that could be signalled: want process or pid_file with the signal, as in {signal: SIGHUP, process: nginx}`,
			`:14: files.items.c.on_change: process and pid_file go with signal`,
		},
		endpoint: {`files.items: a sidecar is there for files: declare some, or want -f NAME=REF`},
	} {
		file := declared(t, text)
		_, err := Load(Source{File: file, Sidecar: true})
		var got []string
		for _, line := range lines(t, err) {
			got = append(got, strings.TrimPrefix(line, file))
		}
		if !slices.Equal(got, want) {
			t.Errorf("of\n%s\ngot  %s\nwant %s", text, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}

// TestOverrideOfAnAction replaces whatever the file says, be it a word or a map.
func TestOverrideOfAnAction(t *testing.T) {
	t.Parallel()
	file := declared(t, "kms: {endpoint: kms.example.com}\nfiles: {items: {a: kms://a}}\non_change: {files: {exec: [x], timeout: 5s}}\n")
	for says, want := range map[string]string{
		"SIGHUP":                                "{Signal:1}",
		"none":                                  "{None:true}",
		"{signal: HUP, process: nginx}":         "{Signal:1 Process:nginx}",
		` {"exec": ["a", "b c"], timeout: 1s} `: "{Exec:[a b c] Timeout:1s}",
		"{touch: /x}":                           "{Touch:/x}",
		"{http: http://h/x}":                    "{HTTP:http://h/x}",
		"{signal: HUP, process: x/y}":           `--on-file-change: want the name of an executable or its absolute path, got "x/y"`,
		"{signal: HUP, touch: /x}":              "--on-file-change: want one of signal, exec, http and touch, got signal and touch",
		"{sinal: HUP}":                          "--on-file-change: unknown key; known here: exec, http, pid_file, process, signal, timeout, touch",
		"{process: nginx}":                      "--on-file-change: process and pid_file go with signal",
		"{signal":                               `--on-file-change: want none, restart, a signal such as SIGHUP, or a mapping with signal, exec, http or touch; got "{signal"`,
	} {
		c, err := Load(Source{File: file, Overrides: []Override{{Key: []string{"on_change", "files"}, Value: says, From: "--on-file-change"}}})
		got := strings.Join(lines(t, err), "\n")
		if err == nil {
			got = brief(c.OnChange.Files)
		}
		if got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", says, got, want)
		}
	}
}

// brief is an action without what is empty.
func brief(a FileAction) string {
	var parts []string
	for field, value := range reflect.ValueOf(a).Fields() {
		if !value.IsZero() {
			parts = append(parts, fmt.Sprintf("%s:%v", field.Name, value))
		}
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// TestLoadHTTP reads the endpoint, whatever else a declaration lacks here.
func TestLoadHTTP(t *testing.T) {
	t.Parallel()
	listen := func(address string) []Override {
		return []Override{{Key: []string{"http", "listen"}, Value: address, From: "--addr"}}
	}
	for _, c := range []struct {
		text      string
		overrides []Override
		want      string
	}{
		{"http: {listen: ':1', token_file: /t}\nenv: {A: kms://a, B-C: x}\nnonsense: 1\nwatch: {interval: 1}", nil, "{:1 /t   false}"},
		{"http: {listen: ':1', token_file: /t}", listen("unix:/s"), "{unix:/s /t   false}"},
		{"", nil, "{    false}"},
		{"http: {listen: nonsense, what: 1}", nil, "FILE:1: http.what: unknown key; known here: insecure, listen, tls_cert, tls_key, token_file\n" +
			`FILE:1: http.listen: want HOST:PORT, :PORT or unix:/PATH, got "nonsense"`},
		{"http: {tls_cert: /c, tls_key: /k}", listen("unix:/s"), "FILE:1: http.tls_cert: a unix socket has no TLS: want one of them"},
		{"", listen("nonsense"), `--addr: want HOST:PORT, :PORT or unix:/PATH, got "nonsense"`},
		{"{", nil, "FILE:1: not YAML: did not find expected node content"},
		{"[]", nil, "FILE:1: want a map"},
	} {
		file := declared(t, c.text)
		settings, err := LoadHTTP(Source{File: file, Overrides: c.overrides})
		got := strings.ReplaceAll(strings.Join(lines(t, err), "\n"), file, "FILE")
		if err == nil {
			got = fmt.Sprint(settings)
		}
		if got != c.want {
			t.Errorf("of %s:\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
	if _, err := LoadHTTP(Source{File: "/no/such/file"}); err == nil {
		t.Error("no file: got no error")
	}
}
