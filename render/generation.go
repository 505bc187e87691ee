package render

import (
	"bytes"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/kmsrun/kmsrun/config"
)

// Generation is one whole rendering: immutable, comparable with another, and
// unprintable, since its plaintext lives behind funcs.
type Generation struct {
	env   func() map[string][]byte // nil for a variable that is not to be set
	files func() map[string]File
	fds   func() map[string][]byte // by the variable that is to hold the path
}

// File is the content, permission bits and owner of one file.
type File struct {
	Mode    fs.FileMode
	Owner   config.Owner // empty: ours
	content func() []byte
}

// NewFile makes a File.
func NewFile(content []byte, mode fs.FileMode) File {
	return File{Mode: mode, content: func() []byte { return content }}
}

// OwnedBy is the same file of another owner.
func (f File) OwnedBy(owner config.Owner) File {
	f.Owner = owner
	return f
}

func (f File) equal(g File) bool {
	return f.Mode == g.Mode && f.Owner == g.Owner && bytes.Equal(f.content(), g.content())
}

func newGeneration(env map[string][]byte, files map[string]File) Generation {
	return Generation{
		env:   func() map[string][]byte { return env },
		files: func() map[string]File { return files },
	}
}

// Files maps paths below the directory to the files.
func (g Generation) Files() map[string]File {
	if g.files == nil {
		return nil
	}
	return g.files()
}

// FDs maps variables to what their inherited memory file holds: they are to be set to
// its path.
func (g Generation) FDs() map[string][]byte {
	if g.fds == nil {
		return nil
	}
	return g.fds()
}

// Environ is the environment of the program: base, with the declared variables
// over it, and without those that are declared and not to be set. The variables of
// FDs are not in it.
func (g Generation) Environ(base []string) []string {
	declared := map[string][]byte{}
	if g.env != nil {
		declared = g.env()
	}
	environ := make([]string, 0, len(base)+len(declared)) // never nil: os/exec would take that for our own
	for _, variable := range base {
		name, _, _ := strings.Cut(variable, "=")
		_, ours := declared[name]
		if _, fd := g.FDs()[name]; !ours && !fd {
			environ = append(environ, variable)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		if declared[name] != nil {
			environ = append(environ, name+"="+string(declared[name]))
		}
	}
	return environ
}

// Change is how one generation differs from another, in sorted names.
type Change struct {
	Env   []string // variables
	Files []string // paths below the directory
}

// None tells whether nothing differs.
func (c Change) None() bool { return len(c.Env) == 0 && len(c.Files) == 0 }

// Since lists what differs from before.
func (g Generation) Since(before Generation) Change {
	var c Change
	env, oldEnv := map[string][]byte{}, map[string][]byte{}
	if g.env != nil {
		env = g.env()
	}
	if before.env != nil {
		oldEnv = before.env()
	}
	c.Env = differing(env, oldEnv, func(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) })
	// A program that was started with a file holds that one.
	c.Env = append(c.Env, differing(g.FDs(), before.FDs(), bytes.Equal)...)
	slices.Sort(c.Env)
	c.Env = slices.Compact(c.Env)
	c.Files = differing(g.Files(), before.Files(), File.equal)
	return c
}

// differing lists the keys that only one map has, or whose values are not equal.
func differing[V any](a, b map[string]V, equal func(V, V) bool) []string {
	var names []string
	for name, x := range a {
		if y, ok := b[name]; !ok || !equal(x, y) {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
