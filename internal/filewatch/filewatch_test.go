package filewatch

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDirectories(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"x": "y", "y": "x"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ path, want string }{
		{filepath.Join(dir, "f"), dir},
		{filepath.Join(dir, "none", "none", "f"), dir},
	} {
		if got := directories(tc.path); !slices.Equal(got, []string{tc.want}) {
			t.Errorf("directories(%q) = %q, want %q alone", tc.path, got, tc.want)
		}
	}
	if got := directories(filepath.Join(dir, "x")); !slices.Contains(got, dir) { // a circle ends
		t.Errorf("directories of a circle = %q, want %q among them", got, dir)
	}
}
