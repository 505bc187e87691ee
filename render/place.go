package render

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
)

var (
	errOnDisk = errors.New("not on tmpfs or ramfs, where a secret would reach a disk")
	errLocked = errors.New("another kmsrun uses it")
)

const howToMount = "give one with docker: --tmpfs /run/kmsrun; Kubernetes: an emptyDir with medium: Memory mounted at /run/kmsrun; " +
	"systemd: RuntimeDirectory=NAME; or accept the disk with files.disk: allow"

// OpenDir opens the directory for files, and locks it: the declared one, or the
// first of the usual places that is in memory, can be made, and is not in use.
func OpenDir(settings config.Files, lookup func(string) (string, bool)) (*Dir, error) {
	if settings.Dir != "" {
		d, err := openAt(settings.Dir, settings)
		return d, explain(settings.Dir, err)
	}
	var last error
	for _, path := range usualPlaces(lookup) {
		d, err := openAt(path, settings)
		if err == nil {
			return d, nil
		}
		last = explain(path, err)
	}
	return nil, last
}

func usualPlaces(lookup func(string) (string, bool)) []string {
	var places []string
	if dirs, _ := lookup("RUNTIME_DIRECTORY"); dirs != "" {
		first, _, _ := strings.Cut(dirs, ":")
		places = append(places, first)
	}
	places = append(places, "/run/kmsrun")
	if dir, _ := lookup("XDG_RUNTIME_DIR"); dir != "" {
		places = append(places, filepath.Join(dir, "kmsrun"))
	}
	return append(places, "/dev/shm/kmsrun."+rand.Text())
}

func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		err = pathErr.Err
	}
	err = fmt.Errorf("using %q for files: %w", path, err)
	if errors.Is(err, errOnDisk) {
		err = fmt.Errorf("%w: %s", err, howToMount)
	}
	return err
}

// openAt makes and locks one directory. Where a parent is missing it is made too,
// but nothing is made on a disk that is refused.
func openAt(path string, settings config.Files) (*Dir, error) {
	made, err := makeDir(path, settings.Disk == "allow")
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(path)
	if err != nil {
		return nil, err
	}
	root, err := openLocked(path, lock)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	d := &Dir{path: path, root: root, lock: lock, made: made, grace: settings.Grace}
	if err := d.recover(); err != nil {
		d.release()
		return nil, err
	}
	return d, nil
}

// openLocked opens the directory that lock holds. Its owner may have removed it, and
// somebody else made another of its name, between our opening it and locking it.
func openLocked(path string, lock *os.File) (*os.Root, error) {
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return nil, &fs.PathError{Op: "access", Path: path, Err: err}
	}
	locked, err := lock.Stat()
	if err != nil {
		return nil, err
	}
	if now, err := os.Stat(path); err != nil || !os.SameFile(locked, now) {
		return nil, errLocked
	}
	return os.OpenRoot(path)
}

// makeDir makes path unless it is there, and tells whether it did.
func makeDir(path string, allowDisk bool) (made bool, err error) {
	there := path
	for {
		info, err := os.Stat(there)
		if err == nil && !info.IsDir() {
			return false, &fs.PathError{Op: "open", Path: there, Err: unix.ENOTDIR}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		there = filepath.Dir(there)
	}
	switch memory, err := inMemory(there); {
	case err != nil:
		return false, &fs.PathError{Op: "statfs", Path: there, Err: err}
	case !memory && !allowDisk:
		return false, errOnDisk
	}
	if there == path {
		return false, nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return false, err
	}
	return true, os.Chmod(path, 0o700) // MkdirAll is subject to the umask
}

// lockDir locks the directory itself, so that no lock file shows among the secrets.
// The lock lasts as long as the returned file is open, in this process or in one
// that inherits it.
func lockDir(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, unix.O_DIRECTORY|os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, &fs.PathError{Op: "flock", Path: path, Err: err}
	}
	return lock, nil
}
