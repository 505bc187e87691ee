package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSameBinary builds what make build builds from copies of the sources in two directories,
// under different settings of the machine: the bytes are the same.
func TestSameBinary(t *testing.T) {
	t.Parallel()
	_, err := exec.LookPath("make")
	need(t, err == nil, "make")
	var built [][]byte
	for _, settings := range []struct{ dir, environ, shell string }{
		{"a", "TZ=UTC", "umask 022; exec make build VERSION=v1.2.3"},
		{"another/place", "TZ=Asia/Shanghai", "umask 077; exec make build VERSION=v1.2.3"},
	} {
		dir := filepath.Join(t.TempDir(), settings.dir)
		copySources(t, dir)
		cmd := exec.Command("sh", "-c", settings.shell)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), settings.environ, "MAKEFLAGS=", "MAKELEVEL=")
		if output, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make build: %v\n%s", err, output)
		}
		binary, err := os.ReadFile(filepath.Join(dir, "bin/kmsrun"))
		if err != nil {
			t.Fatal(err)
		}
		built = append(built, binary)
	}
	if !bytes.Equal(built[0], built[1]) {
		t.Errorf("two builds of the same sources: got binaries that differ (%d and %d bytes)", len(built[0]), len(built[1]))
	}
	if !bytes.Contains(built[0], []byte("v1.2.3")) {
		t.Error("the binary does not hold its version")
	}
}

// copySources copies what a build reads of this module.
func copySources(t *testing.T, to string) {
	t.Helper()
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "test", "testdata", "docs", "examples"}, path.Base(name)) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		content, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		copied := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			return err
		}
		return os.WriteFile(copied, content, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
