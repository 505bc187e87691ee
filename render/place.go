package render

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
)

var (
	errOnDisk = errors.New("not on tmpfs or ramfs, where a secret would reach a disk")
	errLocked = errors.New("another kmsrun uses it")
)

const howToMount = "give one with docker: --tmpfs /run/kmsrun:mode=0700; Kubernetes: an emptyDir with medium: Memory mounted at /run/kmsrun, " +
	"and files.dir: /run/kmsrun/NAME; systemd: RuntimeDirectory=NAME; or accept the disk with files.disk: allow"

// OpenDir opens the directory for files, and locks it: the declared one, or the
// first of the usual places that is in memory, can be made, and is not in use.
func OpenDir(settings config.Files, lookup func(string) (string, bool)) (*Dir, error) {
	if settings.Dir != "" {
		d, err := openAt(settings.Dir, settings)
		return d, explain(settings.Dir, err)
	}
	sweepLeftovers(sharedMemory)
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

const sharedMemory = "/dev/shm"

// randomPlace matches the directories that have no better place than shared memory.
var randomPlace = regexp.MustCompile(`^/dev/shm/kmsrun\.[A-Z2-7]{26}$`)

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
	// Two: one may be swept by a kmsrun that starts between its making and its locking.
	return append(places, sharedMemory+"/kmsrun."+rand.Text(), sharedMemory+"/kmsrun."+rand.Text())
}

// sweepLeftovers removes what a killed kmsrun of ours left in shared memory: nobody
// knows its random name, and so nobody else would. What is locked is in use, and
// what was left on purpose is marked.
func sweepLeftovers(shared string) {
	entries, _ := os.ReadDir(shared)
	for _, entry := range entries {
		path := filepath.Join(shared, entry.Name())
		if !entry.IsDir() || !randomPlace.MatchString(path) {
			continue
		}
		d, err := openAt(path, config.Files{})
		if err != nil {
			continue
		}
		if _, err := d.root.Lstat(keptMark); err == nil {
			d.release()
			continue
		}
		d.ours, d.made = true, true
		d.Remove()
	}
}

func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("using %q for files: %w", path, bare(err))
	if errors.Is(err, errOnDisk) {
		err = fmt.Errorf("%w: %s", err, howToMount)
	}
	return err
}

// bare is an error of the system without its operation and path.
func bare(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// openAt makes and locks one directory. Where a parent is missing it is made too,
// but nothing is made on a disk that is refused.
func openAt(path string, settings config.Files) (*Dir, error) {
	path = filepath.Clean(path)
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
	d := &Dir{path: path, root: root, lock: lock, made: made, mode: fs.FileMode(settings.DirMode), grace: settings.Grace}
	if err := d.recover(); err != nil {
		d.release()
		return nil, err
	}
	return d, nil
}

// openLocked opens the directory that lock holds. Its owner may have removed it, and
// somebody else made another of its name, between our opening it and locking it.
func openLocked(path string, lock *os.File) (*os.Root, error) {
	locked, err := lock.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkOwner(path, locked); err != nil {
		return nil, err
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return nil, &fs.PathError{Op: "access", Path: path, Err: err}
	}
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errLocked
	}
	if err != nil {
		return nil, err
	}
	if now, err := root.Stat("."); err != nil || !os.SameFile(locked, now) {
		_ = root.Close()
		return nil, errLocked
	}
	return root, nil
}

// checkOwner refuses a directory in which somebody else could put other files in the
// place of ours.
func checkOwner(path string, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return errors.New("its owner can't be told")
	case int(stat.Uid) != os.Geteuid():
		advice := "name one of our own"
		if stat.Uid == 0 { // who can do so anywhere
			advice += fmt.Sprintf(", such as %s, which is made if it can be", filepath.Join(path, "kmsrun"))
		}
		return fmt.Errorf("it belongs to user %d, and this is user %d: whoever owns a directory can replace the files in it; %s",
			stat.Uid, os.Geteuid(), advice)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write to it (mode %#o), and so replace the files in it: chmod it to 0700, "+
			"or name a directory below it, such as %s, which is made", info.Mode().Perm(), filepath.Join(path, "kmsrun"))
	default:
		return nil
	}
}

// makeDir makes path unless it is there, and tells whether it did.
func makeDir(path string, allowDisk bool) (made bool, err error) {
	if err := refuseLink(path); err != nil {
		return false, err
	}
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

// refuseLink refuses a symlink in the directory's own place: who may change where it
// leads may lead the program to other files.
func refuseLink(path string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return nil // no link
	}
	return fmt.Errorf("it is a symlink to %q: name the directory itself", target)
}

// lockDir locks the directory itself, so that no lock file shows among the secrets.
// The lock lasts as long as the returned file is open, in this process or in one
// that inherits it.
func lockDir(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, unix.O_DIRECTORY|unix.O_NOFOLLOW|os.O_RDONLY, 0)
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
