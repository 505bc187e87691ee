package inject

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/fsnotify/fsnotify"

	"github.com/kmsrun/kmsrun/secret"
)

// TestNoChangeWritesNothing: polls that find nothing new leave the files alone, to the
// last event that the kernel can tell.
func TestNoChangeWritesNothing(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := prepare(t, v, fast+"files: {items: {f: kms://a, sub/g: kms://a}}\nenv: {D: '${files_dir}'}", loops)
	var polls atomic.Int64
	r.exec.Fetch = func(ctx context.Context, id secret.ID) (secret.Value, error) {
		polls.Add(1)
		return v.get(ctx, id)
	}
	r.exec = NewExec(r.exec.Plan)
	r.start()
	r.says("start ")
	check := stillness(t, r.exec.Config.Files.Dir)
	r.await("ten polls", func() bool { return polls.Load() >= 10 })
	check()
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Error(err)
	}
}

// stillness fails the test if anything below dir is written until it is called.
func stillness(t *testing.T, dir string) (check func()) {
	t.Helper()
	w, err := fsnotify.NewBufferedWatcher(1000)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = w.Add(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		defer w.Close()
		last := filepath.Join(dir, "last") // whose event is behind all others
		if err := os.WriteFile(last, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for event := range w.Events {
			if event.Name == last {
				break
			}
			t.Errorf("got %s, want nothing written", event)
		}
	}
}
