package secret

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
	"time"
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

func TestValueNeverPrints(t *testing.T) {
	t.Parallel()
	v := NewValue([]byte(canary), "v1", []string{"ACSCurrent"}, time.Time{})
	type exported struct{ V Value }
	type unexported struct{ v Value }
	id := ID{Name: "db"}
	snapshot := Snapshot{}.With(id, v)
	for name, shape := range map[string]any{
		"value":                        v,
		"pointer":                      &v,
		"exported field":               exported{v},
		"pointer to exported field":    &exported{v},
		"unexported field":             unexported{v},
		"pointer to unexported field":  &unexported{v},
		"map":                          map[string]Value{"k": v},
		"map of pointers":              map[ID]*Value{id: &v},
		"slice":                        []Value{v},
		"slice of unexported fields":   []unexported{{v}},
		"snapshot":                     snapshot,
		"pointer to snapshot":          &snapshot,
		"snapshot in unexported field": struct{ s Snapshot }{snapshot},
	} {
		for printer, text := range printings(shape) {
			if leaks(text) {
				t.Errorf("%s by %s: got %s, want no plaintext", name, printer, text)
			}
		}
	}
}

// TestLeaksAreSeen keeps the test above honest: plain bytes leak by every printer.
func TestLeaksAreSeen(t *testing.T) {
	t.Parallel()
	type unexported struct{ b []byte }
	for printer, text := range printings([]byte(canary)) {
		if !leaks(text) {
			t.Errorf("bytes by %s: got %s, want the leak seen", printer, text)
		}
	}
	if text := fmt.Sprintf("%v", unexported{[]byte(canary)}); !leaks(text) {
		t.Errorf("bytes in an unexported field: got %s, want the leak seen", text)
	}
}

func TestValueOwnsItsData(t *testing.T) {
	t.Parallel()
	data, stages := []byte("old"), []string{"ACSCurrent"}
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	v := NewValue(data, "v1", stages, created)
	data[0], stages[0] = 'x', "x"
	if got := string(v.Bytes()); got != "old" {
		t.Errorf("bytes: got %q, want %q", got, "old")
	}
	if got, want := v.Stages, []string{"ACSCurrent"}; !slices.Equal(got, want) {
		t.Errorf("stages: got %q, want %q", got, want)
	}
	if v.Version != "v1" || !v.Created.Equal(created) {
		t.Errorf("got version %q of %s, want v1 of %s", v.Version, v.Created, created)
	}
	if got := (Value{}).Bytes(); got != nil {
		t.Errorf("bytes of the zero value: got %q, want none", got)
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	v := NewValue([]byte("a"), "v1", []string{"ACSCurrent"}, time.Time{})
	for name, test := range map[string]struct {
		other Value
		want  bool
	}{
		"itself":                   {v, true},
		"same version and bytes":   {NewValue([]byte("a"), "v1", nil, time.Unix(1, 0)), true},
		"other version, same text": {NewValue([]byte("a"), "v2", nil, time.Time{}), false},
		"same version, other text": {NewValue([]byte("b"), "v1", nil, time.Time{}), false},
		"zero":                     {Value{}, false},
	} {
		if got := v.Same(test.other); got != test.want {
			t.Errorf("%s: got %t, want %t", name, got, test.want)
		}
		if got := test.other.Same(v); got != test.want {
			t.Errorf("%s, the other way: got %t, want %t", name, got, test.want)
		}
	}
}
