package render

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// tiny mounts a tmpfs with room for very little.
func tiny(t *testing.T, options string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tiny")
	mkdir(t, dir)
	need(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,"+options) == nil, "leave to mount a tmpfs")
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullKeepsThePresentGeneration(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 200<<10)
	for name, test := range map[string]struct {
		options string
		files   map[string]string
	}{
		"bytes, with one file":      {"size=256k", map[string]string{"a": big + big}},
		"bytes, with the last file": {"size=256k", map[string]string{"a": big, "b/c": big}},
		"inodes, with a file":       {"nr_inodes=10", map[string]string{"a": "2", "b": "2", "c": "2", "d": "2", "e/f/g": "2"}},
		"inodes, with a link":       {"nr_inodes=12", map[string]string{"a": "2", "b": "2", "c": "2", "d": "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tiny(t, test.options)
			d := openDir(t, dir)
			publish(t, d, map[string]string{"a": "1", "keep": "1"})
			before := tree(t, dir)
			staged, err := d.Stage(files(test.files))
			if err == nil {
				err = staged.Commit(time.Now())
			}
			if !errors.Is(err, unix.ENOSPC) {
				t.Errorf("got %v, want %v", err, unix.ENOSPC)
			}
			checkTree(t, "after it", dir, before...)
			if got := read(t, dir, "a"); got != "1" {
				t.Errorf("got %q, want the present 1", got)
			}
			publish(t, d, map[string]string{"a": "3"}) // which fits
			if got := read(t, dir, "a"); got != "3" {
				t.Errorf("got %q, want 3", got)
			}
		})
	}
}

func TestReadOnlyKeepsThePresentGeneration(t *testing.T) {
	t.Parallel()
	dir := tiny(t, "size=256k")
	d := openDir(t, dir)
	remount := func(flags uintptr) {
		t.Helper()
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, d, map[string]string{"a": "0"})
	publish(t, d, map[string]string{"a": "1"})
	now := time.Now()
	staged := stage(t, d, map[string]string{"a": "2"})
	remount(unix.MS_RDONLY)
	if err := staged.Commit(now); !errors.Is(err, unix.EROFS) {
		t.Errorf("the flip: got %v, want %v", err, unix.EROFS)
	}
	if _, err := d.Stage(files(map[string]string{"a": "3"})); !errors.Is(err, unix.EROFS) {
		t.Errorf("the next: got %v, want %v", err, unix.EROFS)
	}
	if got := read(t, dir, "a"); got != "1" {
		t.Errorf("got %q, want the present 1", got)
	}
	late := now.Add(time.Hour)
	if next := d.Sweep(late); !next.Equal(late.Add(sweepAgain)) {
		t.Errorf("a sweep in vain: got the next at %s, want %s", next, late.Add(sweepAgain))
	}
	if _, err := OpenDir(settings(dir), variables(nil)); err == nil {
		t.Error("got the directory twice, want the lock to hold")
	}
	remount(0)
	publish(t, d, map[string]string{"a": "4"})
	if next := d.Sweep(late.Add(time.Hour)); !next.IsZero() {
		t.Errorf("got the next sweep at %s, want none", next)
	}
	if got := read(t, dir, "a"); got != "4" {
		t.Errorf("got %q, want 4", got)
	}
	checkTree(t, "all is swept, the generation whose flip failed too", dir,
		"..data -> NOW", "a -> ..data/a", "drwx------ NOW", "-r-------- NOW/a")
}
