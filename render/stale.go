package render

import (
	"bytes"
	"io/fs"
	"slices"
)

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
