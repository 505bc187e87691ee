package render

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

func plaintext(text string) secret.Value {
	return secret.NewValue([]byte(text), "v1", nil, time.Time{})
}

func parseRef(t *testing.T, text string) secret.Ref {
	t.Helper()
	ref, err := secret.ParseRef(text)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestSelectFrom(t *testing.T) {
	t.Parallel()
	const nested = `{"a": {"b": [10, {"c": "deep"}], "": "empty", "x/y": 1, "x~y": 2}, "/a/b": "literal", "0": "key"}`
	for _, test := range []struct{ value, selector, want string }{
		{"not { JSON \x00\xff\n", "", "not { JSON \x00\xff\n"},
		{"", "", ""},
		{` {"a" : 1} `, "", ` {"a" : 1} `},

		{`{"a": "text"}`, "#a", "text"},
		{`{"a": ""}`, "#a", ""},
		{`{"a": 1.10}`, "#a", "1.10"},
		{`{"a": 12345678901234567890}`, "#a", "12345678901234567890"},
		{`{"a": -0.00e+10}`, "#a", "-0.00e+10"},
		{`{"a" : true , "b" : false}`, "#a", "true"},
		{`{"a" : true , "b" : false}`, "#b", "false"},
		{`{"a": "null"}`, "#a", "null"},
		{"\n{\n\t\"a\"\n:\n[ ]\n}\n", "#a", "[]"},
		{`{"z": { "y": 1.10, "a": [ 1, "<&>", null ] }}`, "#z", `{"y":1.10,"a":[1,"<&>",null]}`},
		{`{"a": {"k": 1, "k": 2}}`, "#a", `{"k":1,"k":2}`},
		{`{"a": "first", "a": "last"}`, "#a", "last"},
		{`{"a": "q\"\\\/\n\t\u00e9\ud83d\ude00"}`, "#a", "q\"\\/\n\té😀"},
		{`{"ключ": "значение", "\u00e9": "escaped key"}`, "#ключ", "значение"},
		{`{"ключ": "значение", "\u00e9": "escaped key"}`, "#é", "escaped key"},

		{`{"tls.crt": "dot", "a/b": "slash", "A": "case", "a": "small"}`, "#tls.crt", "dot"},
		{`{"tls.crt": "dot", "a/b": "slash", "A": "case", "a": "small"}`, "#a/b", "slash"},
		{`{"tls.crt": "dot", "a/b": "slash", "A": "case", "a": "small"}`, "#a", "small"},

		{nested, "#/a/b/0", "10"},
		{nested, "#/a/b/1/c", "deep"},
		{nested, "#/a/b/1", `{"c":"deep"}`},
		{nested, "#/a/", "empty"},
		{nested, "#/a/x~1y", "1"},
		{nested, "#/a/x~0y", "2"},
		{nested, "#/~1a~1b", "literal"},
		{nested, "#/0", "key"},
		{`["a", ["b"]]`, "#/1/0", "b"},
	} {
		got, err := selectFrom(parseRef(t, "kms://db"+test.selector), plaintext(test.value))
		if err != nil || string(got) != test.want {
			t.Errorf("%s of %s: got %q, %v, want %q", test.selector, test.value, got, err, test.want)
		}
	}
}

func TestSelectFromRefuses(t *testing.T) {
	t.Parallel()
	const notJSON = `the value is not JSON, so it has no key `
	for _, test := range []struct{ value, selector, want string }{
		{canary, "#a", `kms://db: ` + notJSON + `"a"; without #a it is taken whole`},
		{"", "#/a/b", `kms://db: ` + notJSON + `"/a/b"; without #/a/b it is taken whole`},
		{`{"a": "` + canary + `"`, "#a", `kms://db: ` + notJSON + `"a"; without #a it is taken whole`},
		{`{"a": 1} {"a": 2}`, "#a", `kms://db: ` + notJSON + `"a"; without #a it is taken whole`},
		{"{\"a\": \"\xff\"}", "#a", `kms://db: ` + notJSON + `"a"; without #a it is taken whole`},
		{`"` + canary + `"`, "#a", `kms://db: no key "a"; it is a single JSON value`},
		{`null`, "#a", `kms://db: no key "a"; it is a single JSON value`},
		{`{"B": "` + canary + `", "a.b": 1, "q\"": {}}`, "#b", `kms://db: no key "b"; it has "B", "a.b", "q\""`},
		{`{}`, "#b", `kms://db: no key "b"; it has none`},
		{`{"b" : null , "c": null}`, "#b", `kms://db: no key "b"; it has none`},
		{`{"b": null, "c": "null"}`, "#b", `kms://db: no key "b"; it has "c"`},
		{`{"a": {"b": {"c": 1}}}`, "#/a/b/d", `kms://db in /a/b: no key "d"; it has "c"`},
		{`{"a": {"b": "` + canary + `"}}`, "#/a/b/c", `kms://db in /a/b: no key "c"; it is a single JSON value`},
		{`{"a": ["` + canary + `", 2]}`, "#/a/2", `kms://db in /a: no element "2"; it is an array of 2`},
		{`["a", "b"]`, "#/-", `kms://db: no element "-"; it is an array of 2`},
		{`["a", "b"]`, "#/-1", `kms://db: no element "-1"; it is an array of 2`},
		{`["a", "b"]`, "#/01", `kms://db: no element "01"; it is an array of 2`},
		{`["a", null ]`, "#/1", `kms://db: no element "1"; it is an array of 2`},
		{`["a", "b"]`, "#a", `kms://db: no element "a"; it is an array of 2`},
	} {
		got, err := selectFrom(parseRef(t, "kms://db"+test.selector), plaintext(test.value))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s of %s: got %q, %v, want %s", test.selector, test.value, got, err, test.want)
		}
	}
}

func TestSelectFromListsFewKeys(t *testing.T) {
	t.Parallel()
	var members, want []string
	for i := range maxListed + 2 {
		members = append(members, fmt.Sprintf(`"k%02d": 0`, i))
		want = append(want, fmt.Sprintf(`"k%02d"`, i))
	}
	_, err := selectFrom(parseRef(t, "kms://db#a"), plaintext("{"+strings.Join(members, ",")+"}"))
	wantText := `kms://db: no key "a"; it has ` + strings.Join(want[:maxListed], ", ") + ", and 2 more"
	if err == nil || err.Error() != wantText {
		t.Errorf("got %v, want %s", err, wantText)
	}
}
