package render

import (
	"slices"
	"testing"
)

func TestFDs(t *testing.T) {
	t.Parallel()
	with := func(value string) Generation {
		g := newGeneration(map[string][]byte{"A": []byte("a")}, nil)
		fds := map[string][]byte{"KEY": []byte(value)}
		g.fds = func() map[string][]byte { return fds }
		return g
	}
	if got, want := with("1").Environ([]string{"KEY=kms://key", "B=b"}), []string{"B=b", "A=a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q: the path is not known here", got, want)
	}
	plain := newGeneration(map[string][]byte{"A": []byte("a"), "KEY": []byte("1")}, nil)
	for name, test := range map[string]struct {
		now, before Generation
		want        []string
	}{
		"the same":        {with("1"), with("1"), nil},
		"another content": {with("2"), with("1"), []string{"KEY"}},
		"new":             {with("1"), Generation{}, []string{"A", "KEY"}},
		"gone":            {Generation{}, with("1"), []string{"A", "KEY"}},
		"no variable now": {with("1"), plain, []string{"KEY"}},
	} {
		if got := test.now.Since(test.before).Env; !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", name, got, test.want)
		}
	}
}
