package render

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
)

// untoldMark says that readers of what is published were not told of it.
const untoldMark = "..untold"

// MarkUntold leaves word to the next one who uses the directory that readers of what is
// published were not told of it.
func (d *Dir) MarkUntold() error {
	err := d.root.Symlink("by-kmsrun", untoldMark)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Untold tells whether the one before left word of that.
func (d *Dir) Untold() bool {
	_, err := d.root.Lstat(untoldMark)
	return err == nil
}

// ForgetUntold takes the word away.
func (d *Dir) ForgetUntold() { _ = d.root.Remove(untoldMark) }

// Stale lists the files in which what is published, by a predecessor as a rule, has other
// content than these: those that differ, that are new and that are no more. It is empty where
// nothing is published. What can't be read differs.
func (d *Dir) Stale(files map[string]File) []string {
	present, err := d.root.Readlink(dataLink)
	if err != nil || !generationName.MatchString(present) {
		return nil
	}
	generation, err := d.root.OpenRoot(present)
	if err != nil {
		return nil
	}
	defer generation.Close()
	var stale []string
	for name, file := range files {
		if content, err := generation.ReadFile(name); err != nil || !bytes.Equal(content, file.content()) {
			stale = append(stale, name)
		}
	}
	_ = fs.WalkDir(generation.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if _, stays := files[name]; err == nil && !entry.IsDir() && !stays {
			stale = append(stale, name)
		}
		return nil
	})
	slices.Sort(stale)
	return stale
}
