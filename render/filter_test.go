package render

import (
	"encoding/json"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/kmsrun/kmsrun/config"
)

func TestFilter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, value, want string }{
		{"", " as it is\n", " as it is\n"},
		{"urlencode", "p@ss w/rd+~é", "p%40ss%20w%2Frd%2B~%C3%A9"},
		{"base64", "\xff\xfe>?\n", "//4+Pwo="},
		{"base64", "", ""},
		{"json", "a\"b\\c\n<&>\u2028é", `"a\"b\\c\n<&>\u2028é"`},
		{"json", "\n", `"\n"`},
		{"json", "", `""`},
		{"shell", "it's $HOME", `'it'\''s $HOME'`},
		{"shell", "", "''"},
		{"trim", "\t a b \r\n\n", "a b"},
		{"trim", "\n", ""},
	} {
		got, err := filter(test.name, []byte(test.value))
		if err != nil || string(got) != test.want {
			t.Errorf("%s of %q: got %q, %v, want %q", test.name, test.value, got, err, test.want)
		}
	}
}

func TestFilterRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, want string }{
		{"json", "filter json: the value is not UTF-8 text"},
		{"upper", `unknown filter "upper"`},
	} {
		if got, err := filter(test.name, []byte(canary+"\xff")); err == nil || err.Error() != test.want {
			t.Errorf("%s: got %q, %v, want %s", test.name, got, err, test.want)
		}
	}
}

// Every filter that a declaration may name is one that we can apply.
func TestFiltersAreAllKnown(t *testing.T) {
	t.Parallel()
	for _, name := range config.Filters() {
		if _, err := filter(name, []byte("text")); err != nil {
			t.Errorf("%s: got %v, want no error", name, err)
		}
	}
}

func TestURLEncodeEveryByte(t *testing.T) {
	t.Parallel()
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~" // RFC 3986, 2.3
	const hexDigits = "0123456789ABCDEF"                                                    // upper case: 2.1
	for c := range 256 {
		value := string([]byte{byte(c)})
		want := "%" + string(hexDigits[c>>4]) + string(hexDigits[c&15])
		if strings.Contains(unreserved, value) {
			want = value
		}
		got := string(urlencode([]byte(value)))
		if got != want {
			t.Errorf("byte %#02x: got %q, want %q", c, got, want)
		}
		if back, err := url.PathUnescape(got); err != nil || back != value {
			t.Errorf("byte %#02x unescaped: got %q, %v, want %q", c, back, err, value)
		}
	}
}

func TestJSONStringParsesBack(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "\x00\x1f\x7f", "</script>", "\"\\\n", "é😀\u2028"} {
		encoded, err := jsonString([]byte(value))
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal(encoded, &got); err != nil || got != value {
			t.Errorf("got %q, %v, want %q", got, err, value)
		}
	}
}

func TestShellQuotesForARealShell(t *testing.T) {
	t.Parallel()
	var all []byte
	for c := 1; c < 256; c++ { // NUL can't be in an argument
		all = append(all, byte(c))
	}
	for _, value := range []string{
		"", "'", "''", "it's", `\'`, `"$HOME" $(id) ` + "`id`", "a\nb\n\n", "-n", "%s\\n", "!*?[~#;&|<>", string(all),
	} {
		quoted, err := filter("shell", []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		got, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+string(quoted)).Output()
		if err != nil || string(got) != value {
			t.Errorf("got %q, %v, want %q", got, err, value)
		}
	}
}
