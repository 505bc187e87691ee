// Package filewatch tells when files may have been saved: in place, by rename, by links
// that come to lead elsewhere, and by Kubernetes' swap of a volume's ..data.
package filewatch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A save is several events: the files are looked at when they are over; but in a
// directory that is never quiet, all the same.
const (
	Quiet    = 100 * time.Millisecond
	limit    = time.Second
	maxLinks = 255
)

// Watch watches a set of files, which may change and need not be there.
type Watch struct {
	files func() []string
	fs    *fsnotify.Watcher
	dirs  []string
}

// New begins to watch: what happens from now on is not missed.
func New(files func() []string) (*Watch, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &Watch{files: files, fs: fs}
	if _, err := w.follow(); err != nil {
		_ = fs.Close()
		return nil, err
	}
	return w, nil
}

// Run calls look at once, and whenever something happened that may concern the files,
// until ctx ends.
func (w *Watch) Run(ctx context.Context, log *slog.Logger, look func()) {
	defer w.fs.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var first time.Time // of the events since the last look
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.fs.Events:
			if first.IsZero() {
				first = time.Now()
			}
			timer.Reset(min(Quiet, time.Until(first.Add(limit))))
		case err := <-w.fs.Errors: // events were lost
			log.Warn("file watch interrupted; reading the files again", "err", err)
			timer.Reset(Quiet)
		case <-timer.C:
			first = time.Time{}
			look()
			more, err := w.follow()
			if err != nil {
				log.Warn("file watch incomplete; edits may go unnoticed", "err", err)
			}
			if more { // what happened in a new directory before it was watched made no event
				timer.Reset(Quiet)
			}
		}
	}
}

// follow watches the directories that matter now, and only those. It tells whether
// there is a new one. Those it had are added again, which does nothing unless the
// directory was made anew under its name.
func (w *Watch) follow() (more bool, err error) {
	var dirs []string
	for _, path := range w.files() {
		for _, dir := range directories(path) {
			if slices.Contains(dirs, dir) {
				continue
			}
			if addErr := w.fs.Add(dir); addErr != nil {
				err = addErr
				continue
			}
			dirs = append(dirs, dir)
			more = more || !slices.Contains(w.dirs, dir)
		}
	}
	for _, dir := range w.dirs {
		if !slices.Contains(dirs, dir) {
			_ = w.fs.Remove(dir) // fails when the directory is gone, and its watch with it
		}
	}
	w.dirs = dirs
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
