package watch

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A save is several events: a file is read when they are over; but in a directory that
// is never quiet, all the same.
const (
	filesQuiet = 100 * time.Millisecond
	filesLimit = time.Second
	maxLinks   = 255
)

// Files watches local files for other contents: saves in place and by rename, links
// that come to lead elsewhere, and Kubernetes' swap of a volume's ..data among them.
type Files struct {
	paths   []string
	seen    map[string][sha256.Size]byte // of the contents; a file that can't be read has none
	watcher *fsnotify.Watcher
	dirs    []string
}

// NewFiles begins to watch; what changes from now on is not missed.
func NewFiles(paths []string) (*Files, error) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	f := &Files{paths: paths, watcher: watcher}
	if _, err := f.follow(); err != nil {
		_ = watcher.Close()
		return nil, err
	}
	f.seen = f.read()
	return f, nil
}

// Run pokes changed, which should have room for one, after each change of contents,
// until ctx ends.
func (f *Files) Run(ctx context.Context, log *slog.Logger, changed chan<- struct{}) {
	defer f.watcher.Close()
	timer := time.NewTimer(0)
	var first time.Time // of the events since the last reading
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.watcher.Events:
			if first.IsZero() {
				first = time.Now()
			}
			timer.Reset(min(filesQuiet, time.Until(first.Add(filesLimit))))
		case err := <-f.watcher.Errors: // events were lost
			log.Warn("file watch interrupted; reading the files again", "err", err)
			timer.Reset(filesQuiet)
		case <-timer.C:
			first = time.Time{}
			more, err := f.follow()
			if err != nil {
				log.Warn("file watch incomplete; edits may go unnoticed", "err", err)
			}
			if more { // what happened in a new directory before it was watched made no event
				timer.Reset(filesQuiet)
			}
			if f.look() {
				poke(changed)
			}
		}
	}
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // the last poke was not taken yet, and stands for this one too
	}
}

// look tells whether contents are other than those seen before.
func (f *Files) look() bool {
	now := f.read()
	other := false
	for _, path := range f.paths {
		before, had := f.seen[path]
		after, has := now[path]
		other = other || had != has || before != after
	}
	f.seen = now
	return other
}

func (f *Files) read() map[string][sha256.Size]byte {
	sums := map[string][sha256.Size]byte{}
	for _, path := range f.paths {
		if content, err := os.ReadFile(path); err == nil {
			sums[path] = sha256.Sum256(content)
		}
	}
	return sums
}

// follow watches the directories that matter now, and only those. It tells whether
// there is a new one. Those it had are added again, which does nothing unless the
// directory was made anew under its name.
func (f *Files) follow() (more bool, err error) {
	var dirs []string
	for _, path := range f.paths {
		for _, dir := range directories(path) {
			if slices.Contains(dirs, dir) {
				continue
			}
			if addErr := f.watcher.Add(dir); addErr != nil {
				err = addErr
				continue
			}
			dirs = append(dirs, dir)
			more = more || !slices.Contains(f.dirs, dir)
		}
	}
	for _, dir := range f.dirs {
		if !slices.Contains(dirs, dir) {
			_ = f.watcher.Remove(dir) // fails when the directory is gone, and its watch with it
		}
	}
	f.dirs = dirs
	return more, err
}

// directories lists where a rename can change what path means: the directory of the
// file, and that of each link on the way to it. For one that is missing, the nearest
// above it. Directories are watched, not files: those are replaced.
func directories(path string) []string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return []string{filepath.Dir(path)}
	}
	var dirs []string
	at, rest := "/", strings.Split(abs, "/")
	for links := 0; len(rest) > 0 && links < maxLinks; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		target, err := os.Readlink(next)
		if err != nil { // no link, or nothing there
			at = next
			continue
		}
		links++
		dirs = append(dirs, at)
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	dir := filepath.Dir(at)
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return append(dirs, dir)
}
