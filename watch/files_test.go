package watch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/internal/filewatch"
)

const patience = 20 * time.Second

// edits is a Files at work.
func edits(t *testing.T, paths ...string) <-chan struct{} {
	t.Helper()
	f, err := NewFiles(paths)
	if err != nil {
		t.Fatal(err)
	}
	changed, ended := make(chan struct{}, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(ended)
		f.Run(ctx, slog.New(slog.NewTextHandler(t.Output(), nil)), changed)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return changed
}

func awaitEdit(t *testing.T, what string, changed <-chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(patience):
		t.Fatalf("%s: got no word of it", what)
	}
}

func save(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFilesEdits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	save(t, one, "1")
	save(t, two, "1")
	changed := edits(t, one, two)

	save(t, one, "2")
	awaitEdit(t, "a save in place", changed)
	save(t, two+".new", "2")
	must(t, os.Rename(two+".new", two))
	awaitEdit(t, "a save by rename", changed)
	must(t, os.Remove(one))
	awaitEdit(t, "a removal", changed)
	save(t, one, "3")
	awaitEdit(t, "a new file", changed)

	// What leaves the contents as they are is no edit; the one after it is heard of.
	now := time.Now()
	must(t, os.Chtimes(one, now, now))
	save(t, two, "2")
	save(t, filepath.Join(dir, "other"), "text")
	select {
	case <-changed:
		t.Error("the same contents: got word of an edit")
	case <-time.After(3 * filewatch.Quiet):
	}
	save(t, two, "4")
	awaitEdit(t, "the next", changed)
}

// Kubernetes replaces a ConfigMap's ..data by a rename, and removes the old directory.
func TestFilesOfAConfigMap(t *testing.T) {
	t.Parallel()
	volume := t.TempDir()
	file := filepath.Join(volume, "kmsrun.yaml")
	put := func(generation, text string) {
		t.Helper()
		must(t, os.Mkdir(filepath.Join(volume, generation), 0o700))
		save(t, filepath.Join(volume, generation, "kmsrun.yaml"), text)
		must(t, os.Symlink(generation, filepath.Join(volume, "..data_tmp")))
		must(t, os.Rename(filepath.Join(volume, "..data_tmp"), filepath.Join(volume, "..data")))
	}
	put("..1", "1")
	must(t, os.Symlink("..data/kmsrun.yaml", file))
	elsewhere := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(file, elsewhere))
	changed := edits(t, elsewhere)

	put("..2", "2")
	awaitEdit(t, "a swap", changed)
	must(t, os.RemoveAll(filepath.Join(volume, "..1")))
	put("..3", "3")
	awaitEdit(t, "a second swap", changed)
	save(t, filepath.Join(volume, "..3", "kmsrun.yaml"), "4")
	awaitEdit(t, "an edit of the file behind the links", changed)
	must(t, os.Remove(elsewhere))
	other := filepath.Join(t.TempDir(), "other")
	save(t, other, "5")
	must(t, os.Symlink(other, elsewhere))
	awaitEdit(t, "a link that leads elsewhere", changed)
	save(t, other, "6")
	awaitEdit(t, "an edit of what it leads to", changed)
}

func TestFilesInADirectoryThatComesLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "a", "b", "file")
	changed := edits(t, file)
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	save(t, file, "1")
	awaitEdit(t, "a file in new directories", changed)
	must(t, os.RemoveAll(filepath.Join(dir, "a")))
	awaitEdit(t, "its removal with them", changed)
	must(t, os.MkdirAll(filepath.Dir(file), 0o700))
	save(t, file, "2")
	awaitEdit(t, "directories made anew", changed)
}
