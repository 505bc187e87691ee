package emulator

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seedDir writes files into a new directory and returns the path of seed.yaml in it.
func seedDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		save(t, filepath.Join(dir, name), text)
	}
	return filepath.Join(dir, "seed.yaml")
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// current returns the current value of a secret and its version id, or "" when there is none.
func (b *bench) current(name string) (data, id string) {
	_, v, err := b.store.value(name, "", "")
	if err != nil {
		return "", ""
	}
	return v.data, v.id
}

func TestSeedValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ yaml, want string }{
		{"s: text", "text"},
		{`s: "a string is the value itself"`, "a string is the value itself"},
		{"s: 1.10", "1.10"},
		{"s: yes", "yes"},
		{"s: True", "True"},
		{"s: 2020-01-01", "2020-01-01"},
		{"s: |\n    two\n    lines\n", "two\nlines\n"},
		{"s: {value: text}", "text"},
		{"s: {value: 007}", "007"},
		{"s: {value: {AccountName: app, AccountPassword: s3cr3t, ratio: 1.10}}", `{"AccountName":"app","AccountPassword":"s3cr3t","ratio":1.10}`},
		{"s: {value: {b: 1, a: 2, B: 3}}", `{"b":1,"a":2,"B":3}`},
		{"s: {value: [1, -2.50e3, 12345678901234567890, 0]}", `[1,-2.50e3,12345678901234567890,0]`},
		{"s: {value: [0x1F, .5, 1., +1, 01, 0o17, 1_000, .inf, .nan]}", `["0x1F",".5","1.","+1","01","0o17","1_000",".inf",".nan"]`},
		{"s: {value: [yes, no, true, FALSE, null, ~, '']}", `["yes","no",true,false,null,null,""]`},
		{"s: {value: [2020-01-01, !!str 1, \"1\", !!bool x, !!int x]}", `["2020-01-01","1","1","x","x"]`},
		{`s: {value: {"<&>": "<&>\n\"\\ü"}}`, `{"<&>":"<&>\n\"\\ü"}`},
		{"s: {value: {1: {2: [], 3: {}}, true: x}}", `{"1":{"2":[],"3":{}},"true":"x"}`},
		{"a: &x {value: &y {k: v}}\n  s: *x", `{"k":"v"}`},
		{"a: {value: &y {k: v}}\n  s: {value: [*y, *y]}", `[{"k":"v"},{"k":"v"}]`},
		{"s: {value_file: f.json}", "{ \"a\" : 1 }\n"},
	} {
		b := newBench(t)
		path := seedDir(t, map[string]string{"seed.yaml": "secrets:\n  " + tc.yaml, "f.json": "{ \"a\" : 1 }\n"})
		if _, err := b.LoadSeed(path); err != nil {
			t.Errorf("%s: %v", tc.yaml, err)
			continue
		}
		if got, _ := b.current("s"); got != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.yaml, got, tc.want)
		}
	}
}

func TestSeedEntries(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	path := seedDir(t, map[string]string{"seed.yaml": "secrets:\n" +
		"  prod/db: {value: a, version: 7}\n" +
		"  prod/bin: {value: YQ==, data_type: binary}\n" +
		"  prod/plain: x\n"})
	if _, err := b.LoadSeed(path); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, data, id, dataType string }{
		{"prod/db", "a", "7", "text"}, {"prod/bin", "YQ==", "v1", "binary"}, {"prod/plain", "x", "v1", "text"},
	} {
		_, v, err := b.store.value(tc.name, "", "")
		if err != nil || v.data != tc.data || v.id != tc.id || v.dataType != tc.dataType {
			t.Errorf("%s = %q %q %q, %v, want %+v", tc.name, v.data, v.id, v.dataType, err, tc)
		}
	}
	_, err := b.LoadSeed(path)
	want := path + `:2: creating secret "prod/db": Rejected.ResourceExist: The resource already exists.`
	if err == nil || err.Error() != want {
		t.Errorf("loading again: %v, want %s", err, want)
	}
	for _, text := range []string{"secrets: {}", "secrets:\n  # none\n  {}"} {
		if _, err := b.LoadSeed(seedDir(t, map[string]string{"seed.yaml": text})); err != nil {
			t.Errorf("%q: %v, want no error", text, err)
		}
	}
}

func TestSeedKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	path := seedDir(t, map[string]string{"seed.yaml": "keys:\n  Example-CMK-Id: {}\n  a:\n  b: &x {description: text}\n  c: *x\n"})
	seed, err := b.LoadSeed(path)
	if err != nil {
		t.Fatal(err)
	}
	save(t, path, "keys: {d: {}, b: {}}")
	seed.refresh(slog.New(slog.DiscardHandler))
	for id, want := range map[string]string{"Example-CMK-Id": "", "a": "", "b": "text", "c": "text", "d": ""} {
		var reply keyReply
		decode(t, b.must("DescribeKey", "KeyId", id), &reply)
		if got := reply.KeyMetadata.Description; got != want {
			t.Errorf("key %s: description %q, want %q", id, got, want)
		}
	}
}

// seedFault is a seed file and what is said of it, after "FILE:".
type seedFault struct{ yaml, want string }

func faulty(t *testing.T, rows []seedFault) {
	t.Helper()
	for _, row := range rows {
		path := seedDir(t, map[string]string{
			"seed.yaml": row.yaml, "ok": "x", "empty": "", "bytes": "\xff", "big": strings.Repeat("x", 30721),
		})
		_, err := New(Config{}).LoadSeed(path)
		if want := path + ":" + row.want; err == nil || err.Error() != want {
			t.Errorf("%.80q\n got %v\nwant %s", row.yaml, err, want)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%.80q: the error shows a value", row.yaml)
		}
	}
}

const faultySize = ": the value must be 1 to 30720 bytes of UTF-8 text"

func TestSeedFileFaults(t *testing.T) {
	t.Parallel()
	const c = canary
	faulty(t, []seedFault{
		{"", "1: the file is empty"},
		{"\n# nothing\n", "1: the file is empty"},
		{"~", "1: the file is empty"},
		{"---\n", "1: the file is empty"},
		{c, "1: the file must be a map"},
		{"- " + c, "1: the file must be a map"},
		{"{}", "1: the key secrets is missing"},
		{"secrets:", "1: secrets must be a map"},
		{"secrets: " + c, "1: secrets must be a map"},
		{"secrets: {}\n" + c + ": 1", "2: unknown key, known are secrets and keys"},
		{"keys: [" + c + "]", "1: keys must be a map"},
		{"keys: {a b: {}}", "1: a key id must be 1 to 64 of A-Z a-z 0-9 _ / + = . @ -"},
		{"keys: {k: " + c + "}", "1: a key must be a map"},
		{"keys: {k: {" + c + ": x}}", `1: key "k": unknown key, the only one is description`},
		{"keys: {k: {description: [" + c + "]}}", `1: key "k": description must be text of up to 8192 characters`},
		{"secrets: {}\nsecrets: {}", "2: a key of the file occurs twice, first on line 1"},
		{"secrets: {}\n---\na: b", "2: only one YAML document is read"},
		{"secrets:\n  a: " + c + ": " + c, "2: not valid YAML"},
		{"secrets:\n  a: [" + c, "2: not valid YAML"},
		{"secrets: [" + c, "1: not valid YAML"},
		{"secrets:\n  a: {value: x\n  b: y\n", "2: not valid YAML"},
		{"secrets:\n\ta: x", "2: not valid YAML"},
		{"secrets: {a: \xff}", "1: not valid YAML"},
		{"secrets:\n  a: *" + c, " an alias names no anchor (a value that starts with * needs quotes)"},
		{"secrets:\n  a: &" + c, `2: secret "a": the value is missing`},
		{"secrets:\n  a: !" + c, `2: secret "a": the value has an unknown tag (a value that starts with ! needs quotes)`},
		{"secrets:\n  a: {value: {k: !" + c + " x}}", `2: secret "a": unknown tag (a value that starts with ! needs quotes)`},
	})
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := New(Config{}).LoadSeed(path)
	if want := `reading seed "` + path + `": no such file or directory`; err == nil || err.Error() != want {
		t.Errorf("no file: %v, want %s", err, want)
	}
}

func TestSeedEntryFaults(t *testing.T) {
	t.Parallel()
	const c = canary
	known := ": unknown key, known are value, value_file, version and data_type"
	faulty(t, []seedFault{
		{"secrets:\n  a:", `2: secret "a": the value is missing`},
		{"secrets:\n  a: ''", `2: secret "a"` + faultySize},
		{"secrets:\n  a: [" + c + "]", `2: secret "a": a list needs the key value`},
		{"secrets:\n  a: {}", `2: secret "a": exactly one of value and value_file is needed`},
		{"secrets:\n  a: {version: v1}", `2: secret "a": exactly one of value and value_file is needed`},
		{"secrets:\n  a: {value: " + c + ", value_file: ok}", `2: secret "a": exactly one of value and value_file is needed`},
		{"secrets:\n  a:\n    value: x\n    " + c + ": y", `4: secret "a"` + known},
		{"secrets:\n  a: {value: " + c + ", " + c + "}", `2: secret "a"` + known},
		{"secrets:\n  a:\n    value: x\n    value: " + c, `4: a key of secret "a" occurs twice, first on line 3`},
		{"secrets:\n  a: x\n  b: y\n  a: " + c, `4: a key of secrets occurs twice, first on line 2`},
	})
}

func TestSeedFieldFaults(t *testing.T) {
	t.Parallel()
	const c = canary
	faulty(t, []seedFault{
		{"secrets:\n  a b: " + c, `2: secret "a b": the name must be 1 to 192 of A-Z a-z 0-9 _ / + = . @ - and not start with acs/`},
		{"secrets:\n  acs/x: " + c, `2: secret "acs/x": the name must be 1 to 192 of A-Z a-z 0-9 _ / + = . @ - and not start with acs/`},
		{"secrets:\n  [a]: " + c, "2: a key of secrets must be plain text"},
		{"secrets:\n  <<: {a: b}", "2: a key of secrets must be plain text"},
		{"secrets:\n  a: {value: x, version: ''}", `2: secret "a": version must be 1 to 64 characters`},
		{"secrets:\n  a: {value: x, version: [" + c + "]}", `2: secret "a": version must be 1 to 64 characters`},
		{"secrets:\n  a: {value: x, version: " + strings.Repeat(c, 11) + "}", `2: secret "a": version must be 1 to 64 characters`},
		{"secrets:\n  a: {value: x, data_type: " + c + "}", `2: secret "a": data_type must be text or binary`},
		{"secrets:\n  a: {value: {k: 1,\n    k: " + c + "}}", `3: secret "a": the keys of a map must be plain text and occur once`},
		{"secrets:\n  a: {value: {<<: {k: " + c + "}}}", `2: secret "a": the keys of a map must be plain text and occur once`},
		{"secrets:\n  a: {value: " + strings.Repeat("x", 30721) + "}", `2: secret "a"` + faultySize},
		{"secrets:\n  a: {value: [" + strings.Repeat("x", 30721) + "]}", `2: secret "a"` + faultySize},
		{"secrets:\n  a: {value: &e [*e]}", `2: secret "a"` + faultySize},
		{"secrets:\n  a: {value_file: none}", `2: secret "a": reading value_file "none": no such file or directory`},
		{"secrets:\n  a: {value_file: big}", `2: secret "a": reading value_file "big": more than 30720 bytes`},
		{"secrets:\n  a: {value_file: empty}", `2: secret "a"` + faultySize},
		{"secrets:\n  a: {value_file: bytes}", `2: secret "a"` + faultySize},
		{"secrets:\n  a: {value_file: ~}", `2: secret "a": value_file must be a path`},
		{"secrets:\n  a: {value_file: [x]}", `2: secret "a": value_file must be a path`},
	})
}

// Aliases that double a value at each level must not fill the memory.
func TestSeedBomb(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("secrets:\n  a:\n    value:\n      l0: &l0 [x, x]\n")
	for i := range 60 {
		level := string(rune('a'+i/26)) + string(rune('a'+i%26))
		below := "l0"
		if i > 0 {
			below = string(rune('a'+(i-1)/26)) + string(rune('a'+(i-1)%26))
		}
		text.WriteString("      " + level + ": &" + level + " [*" + below + ", *" + below + "]\n")
	}
	if _, err := New(Config{}).LoadSeed(seedDir(t, map[string]string{"seed.yaml": text.String()})); err == nil {
		t.Error("no error for a value of 2^60 elements")
	}
}
