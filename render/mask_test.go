package render

import (
	"strings"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

func TestMask(t *testing.T) {
	t.Parallel()
	snapshot := func(values ...string) (s secret.Snapshot) {
		for i, value := range values {
			s = s.With(secret.ID{Name: string(rune('a' + i))}, secret.NewValue([]byte(value), "v", nil, time.Time{}))
		}
		return s
	}
	for name, test := range map[string]struct {
		values     []string
		text, want string
	}{
		"whole":                 {[]string{"s3cr3t"}, "password s3cr3t refused", "password *** refused"},
		"with its end of line":  {[]string{"s3cr3t\n"}, "password s3cr3t refused", "password *** refused"},
		"in JSON":               {[]string{`{"a":{"b":["pass"],"port":5432},"tls":true}`}, "pass 5432 true b", "*** *** true b"},
		"a number of 20 digits": {[]string{`{"n":12345678901234567890}`}, "n 12345678901234567890", "n ***"},
		"one line of many":      {[]string{"-----BEGIN-----\nAAAA\nBBBB\n"}, "in line BBBB", "in line ***"},
		"in a URL":              {[]string{"p@ss/word"}, "postgres://app:p%40ss%2Fword@db", "postgres://app:***@db"},
		"in base64":             {[]string{"p@ss/word"}, "Basic cEBzcy93b3Jk", "Basic ***"},
		"quoted":                {[]string{`a"b\c`}, `got "a\"b\\c"`, `got "***"`},
		"for a shell":           {[]string{"it's $5"}, `+ login 'it'\''s $5'`, `+ login '***'`},
		"in dotenv":             {[]string{`it's "$5"`}, `A="it's \"\$5\""`, `A="***"`},
		"in properties":         {[]string{`{"a":"p:w=é"}`}, `a=p\:w\=\u00E9`, `a=***`},
		"in YAML":               {[]string{"{\"a\":\"p\u0085\\u001bw\"}"}, `a: "p\N\ew"`, `a: "***"`},
		"decoded":               {[]string{"cEBzcy93b3Jk"}, "login p@ss/word refused", "login *** refused"},
		"decoded, inside JSON":  {[]string{`{"key":"cEBzcy93b3Jk"}`}, "login p@ss/word refused", "login *** refused"},
		"JSON in a string":      {[]string{`{"app":"{\"pass\":\"p@ss\"}"}`}, "login p@ss refused", "login *** refused"},
		"JSON in base64":        {[]string{`{"app":"eyJwYXNzIjoicEBzcyJ9"}`}, "login p@ss refused", "login *** refused"},
		"a date in JSON":        {[]string{`{"since":"2026-11-28"}`}, "2026-11-28, and 2026", "***, and 2026"},
		"overlapping":           {[]string{"abcd", "cdef"}, "xabcdefx", "x***x"},
		"over itself":           {[]string{"aba"}, "xababax", "x***x"},
		"a short one":           {[]string{"a"}, "banana", "b***n***n***"},
		"an empty one":          {[]string{""}, "text", "text"},
	} {
		if got := Mask(snapshot(test.values...))(test.text); got != test.want {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
	binary := secret.NewValue([]byte("eyJhIjoicEBzcyJ9"), "v", nil, time.Time{}) // {"a":"p@ss"}
	binary.Binary = true
	if got := Mask(secret.Snapshot{}.With(secret.ID{Name: "a"}, binary))("got p@ss"); got != "got ***" {
		t.Errorf("inside a binary secret: got %q", got)
	}
	both := Mask(snapshot("old"), snapshot("new"))
	if got := both("old and new"); strings.Contains(got, "old") || strings.Contains(got, "new") {
		t.Errorf("two snapshots: got %q", got)
	}
}
