package render

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
)

func onMemory(t *testing.T, path string) bool {
	t.Helper()
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		return false
	}
	return stat.Type == unix.TMPFS_MAGIC || stat.Type == unix.RAMFS_MAGIC
}

// memoryDir makes a directory on a real tmpfs.
func memoryDir(t *testing.T) string {
	t.Helper()
	if !onMemory(t, "/dev/shm") {
		t.Skip("SKIPPED, AND NOT TESTED: /dev/shm is no tmpfs")
	}
	dir, err := os.MkdirTemp("/dev/shm", "kmsrun-test.") //nolint:usetesting // t.TempDir is on a disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// diskDir makes a directory that is not in memory.
func diskDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if onMemory(t, dir) {
		t.Skip("SKIPPED, AND NOT TESTED: the directory for temporary files is not on a disk")
	}
	return dir
}

// variables is a lookup of a fixed environment.
func variables(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

func settings(dir string) config.Files {
	return config.Files{Dir: dir, Disk: "refuse", Grace: time.Minute}
}

// openDir opens a directory as a kmsrun does at its start.
func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(settings(path), variables(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.release)
	return d
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestUsualPlaces(t *testing.T) {
	t.Parallel()
	random := regexp.MustCompile(`^/dev/shm/kmsrun\.[A-Z2-7]{26}$`)
	for name, test := range map[string]struct {
		vars map[string]string
		want []string
	}{
		"nothing set": {nil, []string{"/run/kmsrun"}},
		"empty":       {map[string]string{"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": ""}, []string{"/run/kmsrun"}},
		"all": {
			map[string]string{"RUNTIME_DIRECTORY": "/run/app", "XDG_RUNTIME_DIR": "/run/user/1"},
			[]string{"/run/app", "/run/kmsrun", "/run/user/1/kmsrun"},
		},
		"several of systemd": {map[string]string{"RUNTIME_DIRECTORY": "/run/a:/run/b"}, []string{"/run/a", "/run/kmsrun"}},
	} {
		got := usualPlaces(variables(test.vars))
		last := len(got) - 2
		if !slices.Equal(got[:last], test.want) || !random.MatchString(got[last]) || !random.MatchString(got[last+1]) {
			t.Errorf("%s: got %q, want %q and /dev/shm/kmsrun.RANDOM twice", name, got, test.want)
		}
	}
}

func TestOpenDirMakesTheDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(memoryDir(t), "a", "b")
	d := openDir(t, path)
	if got := d.Path(); got != path {
		t.Errorf("path: got %q, want %q", got, path)
	}
	d.Remove()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("after Remove: got %v, want the directory gone that we made", err)
	}
}

func TestOpenDirRefusesADisk(t *testing.T) {
	t.Parallel()
	dir := diskDir(t)
	for _, path := range []string{dir, filepath.Join(dir, "a", "b")} {
		_, err := OpenDir(settings(path), variables(nil))
		want := `using "` + path + `" for files: not on tmpfs or ramfs, where a secret would reach a disk: ` +
			`give one with docker: --tmpfs /run/kmsrun:mode=0700; Kubernetes: an emptyDir with medium: Memory mounted at /run/kmsrun, ` +
			`and files.dir: /run/kmsrun/NAME; systemd: RuntimeDirectory=NAME; or accept the disk with files.disk: allow`
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("got %q, want nothing made", got)
	}
}

func TestOpenDirOnAnAllowedDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(diskDir(t), "a")
	s := settings(path)
	s.Disk = "allow"
	d, err := OpenDir(s, variables(nil))
	if err != nil {
		t.Fatal(err)
	}
	publish(t, d, map[string]string{"a": "1"})
	if got, want := read(t, path, "a"), "1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	d.Remove()
}

func TestOpenDirRefusesAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(memoryDir(t), "file")
	write(t, file, "theirs")
	for path, want := range map[string]string{
		file:                     `using "` + file + `" for files: not a directory`,
		filepath.Join(file, "a"): `using "` + filepath.Join(file, "a") + `" for files: not a directory`,
	} {
		if _, err := OpenDir(settings(path), variables(nil)); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestOpenDirLocks(t *testing.T) {
	t.Parallel()
	path := memoryDir(t)
	first := openDir(t, path)
	_, err := OpenDir(settings(path), variables(nil))
	if want := `using "` + path + `" for files: another kmsrun uses it`; err == nil || err.Error() != want {
		t.Errorf("the second: got %v, want %s", err, want)
	}
	first.release() // as the end of a process does
	openDir(t, path)
}

// An explicit directory is never replaced by another, one of the usual places is.
func TestOpenDirTakesTheNextUsualPlace(t *testing.T) {
	t.Parallel()
	locked, disk, user := memoryDir(t), diskDir(t), memoryDir(t)
	openDir(t, locked)
	for name, taken := range map[string]string{"locked": locked, "on disk": disk} {
		d, err := OpenDir(settings(""), variables(map[string]string{"RUNTIME_DIRECTORY": taken, "XDG_RUNTIME_DIR": user}))
		if err != nil {
			t.Fatal(err)
		}
		// Where /run is in memory and ours, it comes before the user's.
		if got, want := d.Path(), []string{"/run/kmsrun", user + "/kmsrun"}; !slices.Contains(want, got) {
			t.Errorf("%s: got %q, want one of %q", name, got, want)
		}
		d.Remove()
	}
	if got := names(t, disk); len(got) != 0 {
		t.Errorf("on disk: got %q, want nothing made", got)
	}
}

func TestOpenDirTakesTheFirstUsualPlace(t *testing.T) {
	t.Parallel()
	first, user := memoryDir(t), memoryDir(t)
	d, err := OpenDir(settings(""), variables(map[string]string{"RUNTIME_DIRECTORY": first, "XDG_RUNTIME_DIR": user}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.release)
	if got := d.Path(); got != first {
		t.Errorf("got %q, want %q", got, first)
	}
}

// TestKeepLock: only what this process becomes inherits the lock, under a number that no
// listening socket gets.
func TestKeepLock(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	d := openDir(t, dir)
	inherited := func() (numbers []int) {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			n, _ := strconv.Atoi(entry.Name())
			path, _ := os.Readlink("/proc/self/fd/" + entry.Name())
			if flags, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err == nil && path == dir && flags&unix.FD_CLOEXEC == 0 {
				numbers = append(numbers, n)
			}
		}
		return numbers
	}
	if got := inherited(); len(got) > 0 {
		t.Errorf("at first: got %v, a lock that every child inherits", got)
	}
	if err := d.KeepLock(); err != nil {
		t.Fatal(err)
	}
	got := inherited()
	if len(got) != 1 || got[0] < keptLock {
		t.Fatalf("kept: got %v, want one from %d on", got, keptLock)
	}
	defer unix.Close(got[0])
	d.release()
	if _, err := OpenDir(settings(dir), variables(nil)); err == nil || !strings.Contains(err.Error(), "another kmsrun uses it") {
		t.Errorf("for another: got %v, want the lock to hold", err)
	}
}
