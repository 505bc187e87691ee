// Package render makes what the program sees of a snapshot: environment variables
// and files. Rendering is pure; publishing a generation's files is the work of
// Dir, the only code that writes secrets to a filesystem.
package render

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/go-multierror"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// ErrNotFetched marks a variable or file whose secret is not in the snapshot.
var ErrNotFetched = errors.New("its secret was not read")

// maxVariable is the longest NAME=value that execve takes, its NUL included
// (MAX_ARG_STRLEN of Linux).
const maxVariable = 128 << 10

// Render renders every declared variable and file, or fails with all that can't be
// rendered in one *multierror.Error. filesDir is where the files will be.
func Render(c config.Config, filesDir string, snapshot secret.Snapshot) (Generation, error) {
	r := renderer{snapshot: snapshot, filesDir: filesDir}
	env, files := map[string][]byte{}, map[string]File{}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		value := r.text("env "+name, c.Env[name])
		switch {
		case bytes.IndexByte(value, 0) >= 0:
			r.fail("env "+name, errors.New("the value holds a NUL byte, which no variable can; put it in a file"))
		case len(name)+len("=")+len(value)+1 > maxVariable:
			r.fail("env "+name, fmt.Errorf("the variable would be longer than the system's limit of %d bytes; put it in a file", maxVariable))
		}
		env[name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(c.Files.Items)) {
		item := c.Files.Items[name]
		files[name] = NewFile(r.text("file "+name, item.From), c.Files.ModeOf(item)).OwnedBy(c.Files.OwnerOf(item))
	}
	if err := r.failures.ErrorOrNil(); err != nil {
		return Generation{}, err
	}
	return newGeneration(env, files), nil
}

type renderer struct {
	snapshot secret.Snapshot
	filesDir string
	failures *multierror.Error
}

func (r *renderer) fail(user string, err error) {
	r.failures = multierror.Append(r.failures, fmt.Errorf("%s: %w", user, err))
}

func (r *renderer) text(user string, t config.Text) []byte {
	var out []byte
	for _, part := range t.Parts {
		switch {
		case part.FilesDir:
			out = append(out, r.filesDir...)
		case part.Ref.ID.Name == "":
			out = append(out, part.Literal...)
		default:
			value, err := r.reference(part)
			if err != nil {
				r.fail(user, err)
				return nil
			}
			out = append(out, value...)
		}
	}
	return out
}

func (r *renderer) reference(part config.Part) ([]byte, error) {
	value, ok := r.snapshot.Get(part.Ref.ID)
	if !ok {
		return nil, ErrNotFetched
	}
	selected, err := selectFrom(part.Ref, value)
	if err != nil {
		return nil, err
	}
	return filter(part.Filter, selected)
}
