package secret

import (
	"slices"
	"testing"
)

func TestSelectorPath(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"key":       {"key"},
		"a.b/c":     {"a.b/c"},
		"a~1b":      {"a~1b"}, // escapes are a pointer's only
		"/":         {""},
		"/a/b":      {"a", "b"},
		"/a/":       {"a", ""},
		"/a~1b/c~0": {"a/b", "c~"},
		"/~01":      {"~1"},
		"/0/-":      {"0", "-"},
	} {
		s, err := ParseSelector(text)
		if got := s.Path(); err != nil || !slices.Equal(got, want) {
			t.Errorf("path of %q: got %q, %v, want %q", text, got, err, want)
		}
	}
	if got := (Selector{}).Path(); len(got) != 0 {
		t.Errorf("path of the whole: got %q, want none", got)
	}
}
