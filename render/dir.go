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
	mode  fs.FileMode   // of directories; 0 is auto
	grace time.Duration // how long a generation stays readable after the flip away from it

	links   []string // our links at the top of the directory
	retired []retired
}

// Path is where the program finds its files.
func (d *Dir) Path() string { return d.path }

// Staged is a generation written beside the present one, and not yet seen by
// anybody. It is to be committed or discarded.
type Staged struct {
	dir     *Dir
	name    string
	present bool // the present generation is the same already: nothing was written
	links   []string
}

// Stage writes files (mode and owner set, umask or not) into a directory of their
// own. Where the present generation is the same in every byte, mode and owner, as a
// predecessor's may be, nothing is written.
func (d *Dir) Stage(files map[string]File) (staged Staged, err error) {
	name := ".." + time.Now().UTC().Format("2006_01_02_15_04_05") + "." + rand.Text()
	staged = Staged{dir: d, name: name, links: tops(files)}
	defer func() {
		if err != nil {
			staged.Discard()
			err = fmt.Errorf("staging files in %q: %w", d.path, err)
		}
	}()
	owners, err := lookUpOwners(files)
	if err != nil {
		return staged, err
	}
	mode := d.dirMode(owners)
	for _, link := range staged.links {
		if err := d.checkLink(link); err != nil {
			return staged, err
		}
	}
	if err := d.admit(mode); err != nil {
		return staged, err
	}
	if d.shows(files, owners, mode) {
		staged.present = true
		return staged, nil
	}
	if err := d.mkdir(name, mode); err != nil {
		return staged, err
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if err := d.write(path.Join(name, file), files[file], owners[files[file].Owner], mode); err != nil {
			return staged, err
		}
	}
	return staged, d.sync(name)
}

// tops lists the names that files have at the top of the directory.
func tops(files map[string]File) []string {
	var names []string
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if top, _, _ := strings.Cut(file, "/"); !slices.Contains(names, top) {
			names = append(names, top)
		}
	}
	return names
}

// dirMode is the permission bits of a generation's directories. Who owns a file and
// is not us must get to it, but need not see what else there is.
func (d *Dir) dirMode(owners map[ownerKey]ids) fs.FileMode {
	switch {
	case d.mode != 0:
		return d.mode
	case anotherOwner(owners):
		return 0o711
	default:
		return 0o700
	}
}

// admit lets the files' owners into the directory itself. One that we found and that
// has no declared mode keeps what it allows.
func (d *Dir) admit(mode fs.FileMode) error {
	info, err := d.root.Stat(".")
	if err != nil {
		return err
	}
	now := info.Mode() & (fs.ModePerm | fs.ModeSetgid)
	want := now | mode
	if d.mode != 0 {
		want = mode | now&fs.ModeSetgid
	}
	if want == now {
		return nil
	}
	return d.root.Chmod(".", want)
}

// mkdir makes a directory. Mkdir alone is subject to the umask; and a set-group-ID
// bit that it inherits, as below an fsGroup of Kubernetes, is there to stay.
func (d *Dir) mkdir(name string, mode fs.FileMode) error {
	if err := d.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	crashPoint()
	info, err := d.root.Stat(name)
	if err != nil {
		return err
	}
	return d.root.Chmod(name, mode|info.Mode()&fs.ModeSetgid)
}

func (d *Dir) write(name string, file File, owner ids, dirMode fs.FileMode) error {
	for parent := range parents(name) {
		if err := d.mkdir(parent, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	crashPoint()
	_, err = f.Write(file.content())
	crashPoint()
	if err == nil && owner != asWeAre {
		if err = f.Chown(owner.user, owner.group); err != nil {
			err = fmt.Errorf("giving %q to %q: %w; without root, only to a group that we are in", path.Base(name), file.Owner, bare(err))
		}
		crashPoint()
	}
	err = cmpErr(err, f.Chmod(file.Mode))
	err = cmpErr(err, f.Sync()) // free in memory; on an allowed disk, no power cut leaves an empty file
	return cmpErr(err, f.Close())
}

// sync writes a directory through, where it is on a disk.
func (d *Dir) sync(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return cmpErr(f.Sync(), f.Close())
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

// Discard removes a staged generation; what can't be removed now is left to Sweep.
func (s Staged) Discard() {
	if s.present {
		return
	}
	if err := s.dir.root.RemoveAll(s.name); err != nil {
		s.dir.retired = append(s.dir.retired, retired{name: s.name})
	}
}
