package render

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The names that the kubelet's AtomicWriter uses, so that software that watches
// Secret volumes works unchanged.
const (
	dataLink    = "..data"
	newDataLink = "..data_tmp"
)

// generationName matches the directories of generations, and nothing else: the
// sweep must not remove what is not ours.
var generationName = regexp.MustCompile(`^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.[A-Z2-7]+$`)

// Dir is a locked directory in which generations of files are published:
//
//	tls.crt -> ..data/tls.crt
//	..data  -> ..2026_01_02_15_04_05.RANDOM/
//
// One rename of ..data flips all files at once. One goroutine uses it.
type Dir struct {
	path  string
	root  *os.Root
	lock  *os.File
	made  bool          // by us, and so removed at the end
	ours  bool          // what is published is ours, and not a predecessor's
	grace time.Duration // how long a generation stays readable after the flip away from it

	links   []string // our links at the top of the directory
	retired []retired
}

type retired struct {
	name  string
	until time.Time
}

// Path is where the program finds its files.
func (d *Dir) Path() string { return d.path }

// Staged is a generation written beside the present one, and not yet seen by
// anybody. It is to be committed or discarded.
type Staged struct {
	dir   *Dir
	name  string
	links []string
}

// Stage writes files (mode set, umask or not) into a directory of their own.
func (d *Dir) Stage(files map[string]File) (staged Staged, err error) {
	name := ".." + time.Now().UTC().Format("2006_01_02_15_04_05") + "." + rand.Text()
	staged = Staged{dir: d, name: name}
	defer func() {
		if err != nil {
			staged.Discard()
			err = fmt.Errorf("staging files in %q: %w", d.path, err)
		}
	}()
	if err := d.mkdir(name); err != nil {
		return staged, err
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		top, _, _ := strings.Cut(file, "/")
		if !slices.Contains(staged.links, top) {
			staged.links = append(staged.links, top)
			if err := d.checkLink(top); err != nil {
				return staged, err
			}
		}
		if err := d.write(path.Join(name, file), files[file]); err != nil {
			return staged, err
		}
	}
	return staged, nil
}

func (d *Dir) mkdir(name string) error {
	if err := d.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	return d.root.Chmod(name, 0o700) // Mkdir is subject to the umask
}

func (d *Dir) write(name string, file File) error {
	for parent := range parents(name) {
		if err := d.mkdir(parent); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(file.content())
	err = cmpErr(err, f.Chmod(file.Mode))
	return cmpErr(err, f.Close())
}

// parents yields the directories between a generation and a file in it, outermost
// first.
func parents(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i, c := range name {
			if c == '/' && strings.Contains(name[:i], "/") && !yield(name[:i]) {
				return
			}
		}
	}
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// checkLink refuses to publish over something that is not one of our links.
func (d *Dir) checkLink(name string) error {
	target, err := d.root.Readlink(name)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && target == dataLink+"/"+name:
		return nil
	default:
		return fmt.Errorf("%q is in the way: it is not a link of ours", name)
	}
}

// Commit flips to the staged generation: when it returns nil, every name shows the
// new files, and when it fails, the old ones. The generation before stays readable
// for the grace.
func (s Staged) Commit(now time.Time) error {
	d := s.dir
	before, _ := d.root.Readlink(dataLink) // none before the first flip
	had := slices.Clone(d.links)
	if err := s.flip(); err != nil {
		_ = d.root.Remove(newDataLink)
		s.Discard()
		d.dropLinks(had)
		return fmt.Errorf("publishing files in %q: %w", d.path, err)
	}
	d.ours = true
	if generationName.MatchString(before) {
		d.retired = append(d.retired, retired{before, now.Add(d.grace)})
	}
	d.dropLinks(s.links)
	return nil
}

// flip makes the links first, so that nothing is left to fail after the rename. A
// new name dangles until then, which to a reader is as if it were not there.
func (s Staged) flip() error {
	d := s.dir
	for _, name := range s.links {
		// Tried even where there should be one: somebody may have removed it.
		if err := d.root.Symlink(dataLink+"/"+name, name); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !slices.Contains(d.links, name) {
			d.links = append(d.links, name)
		}
	}
	_ = d.root.Remove(newDataLink)
	if err := d.root.Symlink(s.name, newDataLink); err != nil {
		return err
	}
	return d.root.Rename(newDataLink, dataLink)
}

// dropLinks removes our links to names that the present generation does not have.
func (d *Dir) dropLinks(keep []string) {
	d.links = slices.DeleteFunc(d.links, func(name string) bool {
		if slices.Contains(keep, name) {
			return false
		}
		_ = d.root.Remove(name)
		return true
	})
}

// Discard removes a staged generation.
func (s Staged) Discard() { _ = s.dir.root.RemoveAll(s.name) }

// Sweep removes the retired generations whose grace is over, and returns when to
// call it again; zero for not before the next Commit.
func (d *Dir) Sweep(now time.Time) time.Time {
	for len(d.retired) > 0 && !now.Before(d.retired[0].until) {
		_ = d.root.RemoveAll(d.retired[0].name)
		d.retired = d.retired[1:]
	}
	if len(d.retired) == 0 {
		return time.Time{}
	}
	return d.retired[0].until
}

// recover takes over what a predecessor left: the present generation stands until
// the first flip, all else of ours goes.
func (d *Dir) recover() error {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return err
	}
	present, _ := d.root.Readlink(dataLink)
	for _, entry := range entries {
		name := entry.Name()
		if name == newDataLink || generationName.MatchString(name) && name != present {
			if err := d.root.RemoveAll(name); err != nil {
				return err
			}
		}
		if target, err := d.root.Readlink(name); err == nil && target == dataLink+"/"+name {
			d.links = append(d.links, name)
		}
	}
	return nil
}

// Remove takes all of ours away, and the directory if we made it, and unlocks. What a
// predecessor published stands if nothing of ours took its place.
func (d *Dir) Remove() {
	if d.ours {
		d.removeFiles()
	}
	if d.made {
		_ = os.Remove(d.path) // stays if somebody else put something there
	}
	d.release()
}

func (d *Dir) removeFiles() {
	for _, name := range append(d.links, dataLink, newDataLink) {
		_ = d.root.Remove(name)
	}
	entries, _ := fs.ReadDir(d.root.FS(), ".")
	for _, entry := range entries {
		if generationName.MatchString(entry.Name()) {
			_ = d.root.RemoveAll(entry.Name())
		}
	}
}

// SweepAll removes every generation but the present one, whatever its grace: their
// owner is gone, or the lock would not be ours.
func (d *Dir) SweepAll() {
	for _, old := range d.retired {
		_ = d.root.RemoveAll(old.name)
	}
	d.retired = nil
}

func (d *Dir) release() {
	_ = d.root.Close()
	_ = d.lock.Close()
}

// KeepLock hands the lock on to the program that this process becomes by execve:
// the files are in use as long as that program runs.
func (d *Dir) KeepLock() error {
	_, err := unix.FcntlInt(d.lock.Fd(), unix.F_SETFD, 0)
	return err
}
