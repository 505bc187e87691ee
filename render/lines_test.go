package render

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/joho/godotenv"
	"github.com/magiconair/properties"

	"github.com/kmsrun/kmsrun/config"
)

// hostile are values that some reader of some format takes for something else.
var hostile = map[string]string{
	"EMPTY": "", "PLAIN": "plain", "SPACE": " ", "LEADING": "  leading", "TRAILING": "trailing \t", "TAB": "\tt", "INNER": "a b  c",
	"QUOTES": `"double" 'single'`, "SINGLE": `it's`, "ONLY_QUOTE": `'`, "DOUBLE": `"`, "QUOTED": `"quoted"`, "SQUOTED": `'quoted'`,
	"BACKTICK": "a`b", "DOLLAR": "a$b", "EXPAND": "${HOME}$HOME$(id)$$", "QUOTE_DOLLAR": `it's $HOME ${HOME} \$HOME`,
	"HASH": "a#b", "HASH_FIRST": "#a", "HASH_SPACE": "a #b", "QUOTE_HASH": "it's #b", "SEMICOLON": "; a", "BANG": "!a!", "EQUALS": "=a=b=", "COLON": ":a: b",
	"BACKSLASH": `a\b`, "BACKSLASHES": `\\a\\`, "BACKSLASH_LAST": `a\`, "ESCAPES": `\n\t\u0041\x41\'`, "QUOTE_ESCAPES": `it's \n \\ \" \$ \`,
	"NEWLINE": "a\nb", "NEWLINES": "\na\n\n", "QUOTE_NEWLINE": "it's\na \"b\"\nC=d\n", "ASSIGN": "a\nPLAIN=overwritten\n#c", "CONTINUED": "a\\\nb",
	"UNICODE": "é ключ 密钥 😀", "SEPARATORS": "\u0085\u2028\u00a0\ufeff", "FORM_FEED": "\f\v\x01\x7f", "PERCENT": "%s%20", "EXPORT": "export A=b", "JSON": `{"a": ["b'", "$c"]}`,
	"PEM": "-----BEGIN X-----\nMIIB+/==\n-----END X-----\n", "LONG": strings.Repeat(`a$'"\ #`, 30<<10/7),
}

// documentOf is the JSON object of values.
func documentOf(t testing.TB, values map[string]string) []byte {
	t.Helper()
	document, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func without(values map[string]string, names func(value string) bool) map[string]string {
	rest := maps.Clone(values)
	maps.DeleteFunc(rest, func(_, value string) bool { return names(value) })
	return rest
}

// noDotenv are values that dotenv can't carry.
func noDotenv(value string) bool {
	return strings.HasSuffix(value, `\`) || strings.Contains(value, "'") && strings.HasSuffix(value, `"`)
}

// beyondBMP are characters that Java writes in two units. The properties library takes
// each unit for a character, unlike Java.
func beyondBMP(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r > 0xffff })
}

func hasBreak(value string) bool { return strings.ContainsAny(value, "\r\n") }

// missing skips what this machine can't do, unless it is CI's.
func missing(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("SKIPPED: %s: %v", what, err)
}

func sameValues(t *testing.T, reader string, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s reads %s as %.200q, want %.200q", reader, name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s reads %d values, want %d", reader, len(got), len(want))
	}
}

func TestDotenvReadBack(t *testing.T) {
	t.Parallel()
	hostile := without(hostile, noDotenv)
	file, err := writers["dotenv"](documentOf(t, hostile), config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	library, err := godotenv.UnmarshalBytes(file)
	if err != nil {
		t.Fatalf("%.300s", err)
	}
	sameValues(t, "the dotenv library", library, hostile)
	sameValues(t, "systemd", readLikeSystemd(string(file)), hostile)
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	script := exec.Command("/usr/bin/env", "-i", "/bin/sh", "-c", `set -a; . "$0"; exec /usr/bin/env -0`, path)
	out, err := script.Output()
	if err != nil {
		t.Fatal(err)
	}
	sameValues(t, "a shell", environ(string(out), "PWD", "OLDPWD", "_", "SHLVL"), hostile)
}

// node reads no escapes: what holds a single quote is beyond its rules.
func TestDotenvReadByNode(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node's reading of dotenv files", err)
	}
	want := without(hostile, func(value string) bool { return strings.Contains(value, "'") || noDotenv(value) })
	file, err := writers["dotenv"](documentOf(t, want), config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "--env-file="+path, "-p", "JSON.stringify(process.env)")
	cmd.Env = []string{"ONLY=this"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		missing(t, "node's reading of dotenv files", err)
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "ONLY")
	sameValues(t, "node", got, want)
}

// environ reads NAME=value, each with a NUL behind it, less some names.
func environ(text string, less ...string) map[string]string {
	values := map[string]string{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(text, "\x00"), "\x00") {
		name, value, _ := strings.Cut(entry, "=")
		if !slices.Contains(less, name) {
			values[name] = value
		}
	}
	return values
}

// readLikeSystemd reads an EnvironmentFile by the rules of systemd.exec(5): a value
// is a run of bare text, 'literal text' and "text" in which \ escapes " \ ` $ and the
// end of the line; in bare text it escapes anything, and blanks at the ends go.
func readLikeSystemd(text string) map[string]string {
	values := map[string]string{}
	for text != "" {
		text = strings.TrimLeft(text, " \t\n\r")
		if text == "" {
			break
		}
		if text[0] == '#' || text[0] == ';' {
			_, text, _ = strings.Cut(text, "\n")
			continue
		}
		var name, value string
		name, text, _ = strings.Cut(text, "=")
		value, text = systemdValue(text)
		values[strings.TrimSpace(name)] = value
	}
	return values
}

func systemdValue(text string) (value, rest string) {
	kept := 0 // up to where blanks at the end stay
	inside := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		next := byte(0)
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch {
		case inside == '\'' && c != '\'', inside == '"' && c != '"' && c != '\\':
			value += string([]byte{c})
		case inside == '"' && c == '\\':
			if i++; strings.IndexByte("\"\\`$", next) >= 0 {
				value += string([]byte{next})
			} else if next != '\n' {
				value += string([]byte{c, next})
			}
		case inside != 0: // its end
			inside, kept = 0, len(value)
		case c == '\n' || c == '\r':
			return value[:kept] + strings.TrimRight(value[kept:], " \t"), text[i+1:]
		case c == '\'' || c == '"':
			inside = c
		case c == '\\':
			if i++; next != '\n' {
				value += string([]byte{next})
				kept = len(value)
			}
		case (c == ' ' || c == '\t') && value == "":
		default:
			value += string([]byte{c})
		}
	}
	return value, ""
}

func TestDockerEnvReadBack(t *testing.T) {
	t.Parallel()
	want := without(hostile, hasBreak)
	file, err := writers["docker-env"](documentOf(t, want), config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	sameValues(t, "docker", dockerReads(t, path), want)
}

// dockerReads makes a container of an empty image with an env-file, runs it never,
// and asks what its environment would be.
func dockerReads(t *testing.T, path string) map[string]string {
	t.Helper()
	run := func(stdin string, args ...string) string {
		cmd := exec.Command("docker", args...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil {
			missing(t, "docker's reading of env-files", err)
		}
		return strings.TrimSpace(string(out))
	}
	image := run(strings.Repeat("\x00", 1024), "import", "-", "kmsrun-test-"+strconv.Itoa(os.Getpid()))
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", image).Run() })
	container := run("", "create", "--env-file", path, image, "/none")
	t.Cleanup(func() { _ = exec.Command("docker", "rm", container).Run() })
	var entries []string
	if err := json.Unmarshal([]byte(run("", "inspect", "--format", "{{json .Config.Env}}", container)), &entries); err != nil {
		t.Fatal(err)
	}
	return environ(strings.Join(entries, "\x00"), "PATH")
}

func TestPropertiesReadBack(t *testing.T) {
	t.Parallel()
	want := maps.Clone(hostile)
	maps.Copy(want, map[string]string{
		"a key": "1", "a:b=c": "2", "#a": "3", "!a": "4", `a\b`: "5", "ключ😀": "6", " lead": "7", "tab\tnl\n": "8", "CR": "a\rb\r\n", "NUL": "a\x00b",
	})
	file, err := writers["properties"](documentOf(t, want), config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	library, err := (&properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}).LoadBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	common, read := without(want, beyondBMP), without(library.Map(), beyondBMP)
	for _, name := range []string{"ключ😀", "UNICODE"} {
		delete(common, name)
		delete(read, name)
	}
	maps.DeleteFunc(read, func(name, _ string) bool { return strings.HasPrefix(name, "ключ") })
	sameValues(t, "the properties library", read, common)
	java, err := exec.LookPath("java")
	if err != nil {
		missing(t, "Java's reading of properties", err)
	}
	dir := t.TempDir()
	program := `import java.io.*; import java.util.*; import java.nio.charset.*;
class Read { public static void main(String[] a) throws Exception {
	Properties p = new Properties(); p.load(new FileInputStream(a[0]));
	StringBuilder out = new StringBuilder();
	for (String k : p.stringPropertyNames()) { out.append(hex(k)).append(' ').append(hex(p.getProperty(k))).append('\n'); }
	System.out.print(out); }
	static String hex(String s) { StringBuilder b = new StringBuilder("x"); for (byte c : s.getBytes(StandardCharsets.UTF_8)) b.append(String.format("%02x", c)); return b.toString(); } }`
	for name, text := range map[string][]byte{"Read.java": []byte(program), "a.properties": file} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", filepath.Join(dir, "Read.java"), filepath.Join(dir, "a.properties")).Output()
	if err != nil {
		missing(t, "Java's reading of properties; a JDK runs a source file", err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		got[unhex(t, key)] = unhex(t, value)
	}
	sameValues(t, "Java", got, want)
}

func unhex(t *testing.T, text string) string {
	t.Helper()
	var out []byte
	for text = text[1:]; text != ""; text = text[2:] {
		n, err := strconv.ParseUint(text[:2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, byte(n))
	}
	return string(out)
}

// What a format can't carry is refused with the key and the reason.
func TestLinesRefuse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ format, document, want string }{
		{"dotenv", `{"a": "b\r\nc"}`, `key "a": the value holds a carriage return, which dotenv readers turn into something else`},
		{"dotenv", `{"a": "C:\\"}`, `key "a": the value ends with a backslash, which some dotenv readers take for the escape of the quote behind it`},
		{"dotenv", `{"a": "it's \"b\""}`, `key "a": the value holds a single quote and ends with a double one, which some dotenv readers take for two ends`},
		{"dotenv", `{"a.b": "c"}`, `key "a.b": not a variable name: want letters, digits and _, not starting with a digit`},
		{"dotenv", `{"": "c"}`, `key "": not a variable name: want letters, digits and _, not starting with a digit`},
		{"dotenv", `{"a": "\u0000"}`, `key "a": the value holds a NUL byte`},
		{"docker-env", `{"a": "b\nc"}`, `key "a": the value holds a line break, which docker's env-files have no way to write`},
		{"docker-env", `{"1": "c"}`, `key "1": not a variable name: want letters, digits and _, not starting with a digit`},
		{"docker-env", `{"a": "` + strings.Repeat("x", 64<<10) + `"}`, `key "a": the line would be longer than docker's limit of 65534 bytes`},
		{"properties", `["a"]`, `the value is not a JSON object, so it has no keys`},
		{"dotenv", `"a"`, `the value is not a JSON object, so it has no keys`},
		{"profile", `{"AccessKeyId": "x"}`, `want the access key of a RAM user, with the keys AccessKeyId and AccessKeySecret`},
	} {
		if out, err := writers[test.format]([]byte(test.document), config.Config{}); err == nil || err.Error() != test.want {
			t.Errorf("%s of %.60s: got %.60q, %v, want %s", test.format, test.document, out, err, test.want)
		}
	}
}

func FuzzDotenv(f *testing.F) {
	for name, value := range hostile {
		if name != "LONG" { // the fuzzer would cut at it all day
			f.Add(value)
		}
	}
	f.Fuzz(func(t *testing.T, value string) {
		line, err := dotenvLine("NAME", value)
		if err != nil {
			return
		}
		got, err := godotenv.Unmarshal("BEFORE=1\n" + line + "\nAFTER=2\n")
		if want := map[string]string{"BEFORE": "1", "NAME": value, "AFTER": "2"}; err != nil || !maps.Equal(got, want) {
			t.Errorf("the library reads %q as %q, %v, want %q", line, got, err, want)
		}
		if got := readLikeSystemd(line + "\n"); got["NAME"] != value || len(got) != 1 {
			t.Errorf("systemd reads %q as %q, want %q", line, got, value)
		}
	})
}

func FuzzProperties(f *testing.F) {
	for name, value := range hostile {
		if name != "LONG" {
			f.Add(value, value)
		}
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		if key == "" { // the library knows none, Java does
			key = "k"
		}
		line, err := propertiesLine(key, value)
		if err != nil || beyondBMP(key+value) {
			return
		}
		loader := properties.Loader{Encoding: properties.ISO_8859_1, DisableExpansion: true}
		got, err := loader.LoadBytes([]byte(line + "\n"))
		if err != nil || got.GetString(key, "none") != value || got.Len() != 1 {
			t.Errorf("%q is read as %v, %v, want %q", line, got, err, value)
		}
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Errorf("%q is not ASCII", line)
		}
	})
}
