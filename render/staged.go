package render

import "path/filepath"

// Path is where the staged files are before the flip to them.
func (s Staged) Path() string {
	if _, err := s.dir.root.Stat(s.name); err != nil { // nothing had to be written
		return filepath.Join(s.dir.path, dataLink)
	}
	return filepath.Join(s.dir.path, s.name)
}
