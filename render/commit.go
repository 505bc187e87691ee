package render

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Commit flips to the staged generation: when it returns nil, every name shows the
// new files, and when it fails, the old ones. The generation before stays readable
// for the grace.
func (s Staged) Commit(now time.Time) error {
	d := s.dir
	if s.present {
		d.ours = true
		d.dropLinks(s.links)
		return nil
	}
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
		crashPoint()
		if !slices.Contains(d.links, name) {
			d.links = append(d.links, name)
		}
	}
	_ = d.root.Remove(newDataLink)
	if err := d.root.Symlink(s.name, newDataLink); err != nil {
		return err
	}
	crashPoint()
	if err := d.root.Rename(newDataLink, dataLink); err != nil {
		return err
	}
	crashPoint()
	_ = d.sync(".") // it is done; a disk that can't write it through is not our fault to undo
	return nil
}

// dropLinks removes our links to names that the present generation does not have.
func (d *Dir) dropLinks(keep []string) {
	d.links = slices.DeleteFunc(d.links, func(name string) bool {
		if slices.Contains(keep, name) {
			return false
		}
		_ = d.root.Remove(name)
		crashPoint()
		return true
	})
}
