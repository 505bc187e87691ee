package render

import (
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kmsrun/kmsrun/config"
)

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
		// Events come in order: when that of this file is here, all others are.
		last := filepath.Join(dir, "last")
		write(t, last, "")
		for event := range w.Events {
			if event.Name == last {
				break
			}
			t.Errorf("got %s, want nothing written", event)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if err := os.Remove(last); err != nil {
			t.Error(err)
		}
	}
}

// What a predecessor published and is the same stands as it is: no event, no mtime.
func TestTheSameIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	texts := map[string]string{"a": "1", "sub/b": "2", "sub/deep/c": "3"}
	first := openDir(t, dir)
	publish(t, first, texts)
	if err := first.Keep(); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)

	check := stillness(t, dir)
	next := openDir(t, dir)
	publish(t, next, texts)
	publish(t, next, texts)
	check()
	checkTree(t, "the same", dir, before...)
	stage(t, next, texts).Discard()
	checkTree(t, "nothing staged, nothing discarded", dir, before...)
	next.Remove()
	checkTree(t, "it became ours, and went with us", dir)
}

func TestAnyDifferenceIsWritten(t *testing.T) {
	t.Parallel()
	same := map[string]File{"a": NewFile([]byte("1"), 0o400), "sub/b": NewFile([]byte("2"), 0o400)}
	with := func(name string, f File) map[string]File {
		all := map[string]File{"a": same["a"], "sub/b": same["sub/b"]}
		all[name] = f
		return all
	}
	inPresent := func(dir, name string) string { return filepath.Join(dir, "..data", name) }
	for name, test := range map[string]struct {
		files  map[string]File
		spoil  func(t *testing.T, dir string)
		change bool
	}{
		"nothing":          {same, nil, false},
		"a byte":           {with("a", NewFile([]byte("2"), 0o400)), nil, true},
		"a length":         {with("a", NewFile([]byte("11"), 0o400)), nil, true},
		"a mode":           {with("a", NewFile([]byte("1"), 0o440)), nil, true},
		"one more":         {with("c", NewFile([]byte("1"), 0o400)), nil, true},
		"one more, nested": {with("sub/c", NewFile([]byte("1"), 0o400)), nil, true},
		"one less":         {map[string]File{"a": same["a"]}, nil, true},
		"one less, nested": {map[string]File{"sub/b": same["sub/b"]}, nil, true},
		"its last":         {map[string]File{"a": same["a"], "z": NewFile([]byte("2"), 0o400)}, nil, true},
		"somebody's file": {same, func(t *testing.T, dir string) {
			write(t, inPresent(dir, "zz"), "theirs")
		}, true},
		"somebody's directory": {same, func(t *testing.T, dir string) { mkdir(t, inPresent(dir, "zz")) }, true},
		"somebody's mode": {same, func(t *testing.T, dir string) {
			if err := os.Chmod(inPresent(dir, "sub"), 0o755); err != nil {
				t.Fatal(err)
			}
		}, true},
		"a link in a file's place": {same, func(t *testing.T, dir string) {
			if err := os.Rename(inPresent(dir, "a"), filepath.Join(dir, "elsewhere")); err != nil {
				t.Fatal(err)
			}
			symlink(t, filepath.Join(dir, "elsewhere"), inPresent(dir, "a"))
		}, true},
		"a link gone": {same, func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "a")); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := memoryDir(t)
			d := openDir(t, dir)
			first, err := d.Stage(same)
			if err != nil {
				t.Fatal(err)
			}
			if err := first.Commit(time.Now()); err != nil {
				t.Fatal(err)
			}
			if test.spoil != nil {
				test.spoil(t, dir)
			}
			staged, err := d.Stage(test.files)
			if err != nil {
				t.Fatal(err)
			}
			if got := !staged.present; got != test.change {
				t.Errorf("written again: got %t, want %t", got, test.change)
			}
			if err := staged.Commit(time.Now()); err != nil {
				t.Fatal(err)
			}
			for name, file := range test.files {
				if got, want := read(t, dir, name), string(file.content()); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
}

// A dangling name that a killed predecessor left goes, even where its files stand.
func TestTheSameDropsDanglingNames(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	killed := openDir(t, dir)
	publish(t, killed, map[string]string{"a": "1"})
	symlink(t, "..data/gone", filepath.Join(dir, "gone"))
	killed.release()
	publish(t, openDir(t, dir), map[string]string{"a": "1"})
	checkTree(t, "the same", dir, "..data -> NOW", "a -> ..data/a", "drwx------ NOW", "-r-------- NOW/a")
}

// What a killed kmsrun left under a random name in shared memory goes at the next
// start; what is in use, left on purpose, somebody else's or no directory stays.
func TestLeftoversInSharedMemory(t *testing.T) {
	t.Parallel()
	if !onMemory(t, sharedMemory) {
		t.Skip("SKIPPED, AND NOT TESTED: /dev/shm is no tmpfs")
	}
	random := func() string {
		path := sharedMemory + "/kmsrun." + rand.Text()
		t.Cleanup(func() { _ = os.RemoveAll(path) })
		return path
	}
	open := func(path string) *Dir {
		d, err := openAt(path, config.Files{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.release)
		publish(t, d, map[string]string{"a": canary})
		return d
	}
	killed, used, kept, once, shared := random(), random(), random(), random(), random()
	open(killed).release()
	open(used)
	if err := open(kept).Keep(); err != nil {
		t.Fatal(err)
	}
	becomes := open(once)
	if err := becomes.KeepLock(); err != nil {
		t.Fatal(err)
	}
	becomes.release() // as a program does that closes what it inherits
	open(shared).release()
	write(t, filepath.Join(shared, "theirs"), "text")
	foreign := random()
	mkdir(t, foreign)
	if os.Geteuid() == 0 {
		if err := os.Chown(foreign, 4242, -1); err != nil {
			t.Fatal(err)
		}
	}
	file := random()
	write(t, file, "theirs")

	sweepLeftovers(sharedMemory)
	there := names(t, sharedMemory)
	want := map[string]bool{killed: false, used: true, kept: true, once: true, shared: true, foreign: os.Geteuid() == 0, file: true}
	for path, want := range want {
		if got := slices.Contains(there, filepath.Base(path)); got != want {
			t.Errorf("%s: got %t, want %t", path, got, want)
		}
	}
	checkTree(t, "theirs stays, ours goes", shared, "-rw------- theirs")
	if got := read(t, used, "a"); got != canary {
		t.Errorf("in use: got %q, want %q", got, canary)
	}
}
