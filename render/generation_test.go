package render

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const canary = "c4n4ry-pl41nt3xt"

// printings is what each printer that a program is likely to use makes of v.
func printings(v any) map[string]string {
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		out["fmt "+verb] = fmt.Sprintf(verb, v)
	}
	var text, object bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("message", "value", v)
	slog.New(slog.NewJSONHandler(&object, nil)).Info("message", "value", v)
	out["slog text"], out["slog json"] = text.String(), object.String()
	encoded, err := json.Marshal(v)
	out["json"] = fmt.Sprint(string(encoded), err)
	return out
}

// leaks tells whether text holds the canary in a spelling that a printer may use.
func leaks(text string) bool {
	var decimal, golang []string
	for _, c := range []byte(canary) {
		decimal, golang = append(decimal, strconv.Itoa(int(c))), append(golang, fmt.Sprintf("%#x", c))
	}
	return slices.ContainsFunc([]string{
		canary, strings.Join(decimal, " "), strings.Join(decimal, ","), strings.Join(golang, ", "),
		fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), base64.StdEncoding.EncodeToString([]byte(canary)),
	}, func(spelling string) bool { return strings.Contains(text, spelling) })
}

func TestGenerationNeverPrints(t *testing.T) {
	t.Parallel()
	g := newGeneration(map[string][]byte{"A": []byte(canary)}, map[string]File{"a": NewFile([]byte(canary), 0o400)})
	type exported struct{ G Generation }
	type unexported struct{ g Generation }
	for name, shape := range map[string]any{
		"generation":                  g,
		"pointer":                     &g,
		"exported field":              exported{g},
		"unexported field":            unexported{g},
		"pointer to unexported field": &unexported{g},
		"map":                         map[string]Generation{"k": g},
		"slice":                       []Generation{g},
		"files":                       g.Files(),
		"file":                        g.Files()["a"],
		"staged":                      Staged{name: "a", links: []string{"a"}},
	} {
		for printer, text := range printings(shape) {
			if leaks(text) {
				t.Errorf("%s by %s: got %s, want no plaintext", name, printer, text)
			}
		}
	}
	for printer, text := range printings([]byte(canary)) {
		if !leaks(text) { // else the test above proves nothing
			t.Errorf("bytes by %s: got %s, want the leak seen", printer, text)
		}
	}
}

func TestSince(t *testing.T) {
	t.Parallel()
	env := func(a, b string) map[string][]byte { return map[string][]byte{"A": []byte(a), "B": []byte(b)} }
	files := func(a, b string) map[string]File {
		return map[string]File{"a": NewFile([]byte(a), 0o400), "b": NewFile([]byte(b), 0o400)}
	}
	before := newGeneration(env("1", "2"), files("1", "2"))
	for name, test := range map[string]struct {
		now  Generation
		want Change
	}{
		"nothing":         {newGeneration(env("1", "2"), files("1", "2")), Change{}},
		"a variable":      {newGeneration(env("1", "3"), files("1", "2")), Change{Env: []string{"B"}}},
		"a file":          {newGeneration(env("1", "2"), files("3", "2")), Change{Files: []string{"a"}}},
		"all, sorted":     {newGeneration(env("3", "3"), files("3", "3")), Change{Env: []string{"A", "B"}, Files: []string{"a", "b"}}},
		"gone":            {newGeneration(map[string][]byte{"B": []byte("2")}, nil), Change{Env: []string{"A"}, Files: []string{"a", "b"}}},
		"gone altogether": {Generation{}, Change{Env: []string{"A", "B"}, Files: []string{"a", "b"}}},
		"new": {
			newGeneration(map[string][]byte{"A": []byte("1"), "B": []byte("2"), "C": nil}, files("1", "2")),
			Change{Env: []string{"C"}},
		},
		"a mode": {
			newGeneration(env("1", "2"), map[string]File{"a": NewFile([]byte("1"), 0o440), "b": NewFile([]byte("2"), 0o400)}),
			Change{Files: []string{"a"}},
		},
	} {
		got := test.now.Since(before)
		if !slices.Equal(got.Env, test.want.Env) || !slices.Equal(got.Files, test.want.Files) {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
		if got, want := got.None(), len(test.want.Env)+len(test.want.Files) == 0; got != want {
			t.Errorf("%s: none: got %t, want %t", name, got, want)
		}
	}
	if got, want := before.Since(Generation{}), (Change{Env: []string{"A", "B"}, Files: []string{"a", "b"}}); !slices.Equal(got.Env, want.Env) ||
		!slices.Equal(got.Files, want.Files) {
		t.Errorf("the first: got %+v, want %+v", got, want)
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	g := newGeneration(map[string][]byte{"Z": []byte("1"), "B": []byte("a=b\nc"), "EMPTY": {}}, nil)
	for name, test := range map[string]struct {
		g          Generation
		base, want []string
	}{
		"declared after base":  {g, []string{"Y=1", "A=2"}, []string{"Y=1", "A=2", "B=a=b\nc", "EMPTY=", "Z=1"}},
		"declared wins":        {g, []string{"B=x", "A=1", "Z=x=y", "EMPTY=x", "B=again"}, []string{"A=1", "B=a=b\nc", "EMPTY=", "Z=1"}},
		"names are exact":      {g, []string{"b=1", "BB=1", "=B=1"}, []string{"b=1", "BB=1", "=B=1", "B=a=b\nc", "EMPTY=", "Z=1"}},
		"odd entries are kept": {Generation{}, []string{"odd", "A=1", "A=2"}, []string{"odd", "A=1", "A=2"}},
	} {
		if got := test.g.Environ(test.base); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}

// os/exec takes a nil Env for the environment of kmsrun itself, with all that was
// taken out of base.
func TestEnvironIsNeverNil(t *testing.T) {
	t.Parallel()
	if got := (Generation{}).Environ(nil); got == nil || len(got) != 0 {
		t.Errorf("got %#v, want an empty list that is not nil", got)
	}
}
