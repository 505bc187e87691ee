package emulator

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	seedQuiet = 100 * time.Millisecond // a save is several events: read when they are over
	seedLimit = time.Second            // but in a directory that is never quiet, read all the same
	maxLinks  = 255
)

// Watch applies each save of the seed file and its value files until ctx ends, and then returns nil; an error means that
// watching could not begin. A save is compared with the file before it, secret by secret: a changed entry is put as the
// ACSCurrent version under its version id or, when that is taken, the first free of <version>-2, <version>-3 and so on;
// a new entry is created; one that was removed stays in the emulator. A file that can't be read or used is ignored with
// a warning. The log tells names and version ids, never values.
func (s *Seed) Watch(ctx context.Context, log *slog.Logger) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching seed %q: %w", s.path, err)
	}
	defer w.Close()
	if _, err := s.follow(w); err != nil {
		return fmt.Errorf("watching seed %q: %w", s.path, err)
	}
	timer := time.NewTimer(0) // at once: the file may have been saved since it was loaded
	defer timer.Stop()
	var first time.Time // of the events since the last reading
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Events:
			if first.IsZero() {
				first = time.Now()
			}
			timer.Reset(min(seedQuiet, time.Until(first.Add(seedLimit))))
		case err := <-w.Errors: // events were lost
			log.Warn("seed watch interrupted, reading the file again", "file", s.path, "err", err)
			timer.Reset(seedQuiet)
		case <-timer.C:
			first = time.Time{}
			s.refresh(log)
			more, err := s.follow(w)
			if err != nil {
				log.Warn("seed watch incomplete", "file", s.path, "err", err)
			}
			if more { // what happened in a new directory before we watched it made no event
				timer.Reset(seedQuiet)
			}
		}
	}
}

// follow watches the directories that matter now, and only those. It reports whether there was a new one. Those it had are
// added again, which does nothing unless the directory was made anew under its name.
func (s *Seed) follow(w *fsnotify.Watcher) (more bool, err error) {
	var dirs []string
	for _, file := range append([]string{s.path}, s.last.files...) {
		for _, dir := range directories(file) {
			if slices.Contains(dirs, dir) {
				continue
			}
			if addErr := w.Add(dir); addErr != nil {
				err = addErr
				continue
			}
			dirs = append(dirs, dir)
			more = more || !slices.Contains(s.dirs, dir)
		}
	}
	for _, dir := range s.dirs {
		if !slices.Contains(dirs, dir) {
			_ = w.Remove(dir) // fails when the directory is gone, and the watch with it
		}
	}
	s.dirs = dirs
	return more, err
}

// directories lists where a rename can change what path means: the directory of the file itself and that of each symlink
// on the way to it. Directories and not files are watched, because editors and Kubernetes replace files, or the ..data
// link before them, instead of writing into them. For a directory that is missing, the nearest one above it is watched.
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
		link, err := os.Readlink(next)
		if err != nil { // no link, or nothing there yet
			at = next
			continue
		}
		links++
		dirs = append(dirs, at)
		if filepath.IsAbs(link) {
			at = "/"
		}
		rest = append(strings.Split(link, "/"), rest...)
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
