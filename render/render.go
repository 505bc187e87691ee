// Package render makes what the program sees of a snapshot: environment variables
// and files. Rendering is pure; publishing a generation's files is the work of
// Dir, the only code that writes secrets to a filesystem.
package render

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

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
	r := renderer{
		config: c, snapshot: snapshot, filesDir: filesDir,
		env: map[string][]byte{}, files: map[string]File{}, fds: map[string][]byte{},
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		r.variable(name, c.Env[name])
	}
	r.envFrom()
	for _, name := range slices.Sorted(maps.Keys(c.Files.Items)) {
		r.file(name, c.Files.Items[name])
	}
	if err := r.failures.ErrorOrNil(); err != nil {
		return Generation{}, err
	}
	g := newGeneration(r.env, r.files)
	g.fds = func() map[string][]byte { return r.fds }
	return g, nil
}

type renderer struct {
	config   config.Config
	snapshot secret.Snapshot
	filesDir string
	env      map[string][]byte // nil for a variable that is not to be set
	files    map[string]File
	fds      map[string][]byte
	failures *multierror.Error
}

func (r *renderer) fail(user string, err error) {
	r.failures = multierror.Append(r.failures, fmt.Errorf("%s: %w", user, err))
}

// errAbsent says that an optional reference is not found: what is made of it is left
// out.
var errAbsent = errors.New("an optional secret is not there")

func (r *renderer) variable(name string, t config.Text) {
	value, err := r.text(t)
	switch ref, _ := t.Whole(); {
	case errors.Is(err, errAbsent):
		r.env[name] = nil
	case err != nil:
		r.fail("env "+name, err)
	case ref.As == secret.AsFile:
		path := config.VariableFiles + "/" + name
		r.files[path] = NewFile(value, r.config.Files.ModeOf(config.Item{})).OwnedBy(r.config.Files.OwnerOf(config.Item{}))
		r.set("env "+name, name, []byte(r.filesDir+"/"+path))
	case ref.As == secret.AsFD:
		r.fds[name] = value
	default:
		r.set("env "+name, name, value)
	}
}

// set sets a variable to a value that the system can take.
func (r *renderer) set(user, name string, value []byte) {
	switch {
	case bytes.IndexByte(value, 0) >= 0:
		r.fail(user, errors.New("the value holds a NUL byte, which no variable can; as=file puts it in a file and gives its path"))
	case !utf8.Valid(value):
		r.fail(user, errors.New("the value is not UTF-8 text; as=file puts it in a file and gives its path"))
	case len(name)+len("=")+len(value)+1 > maxVariable:
		r.fail(user, fmt.Errorf("the variable would be longer than the system's limit of %d bytes; as=file puts it in a file and gives its path", maxVariable))
	}
	r.env[name] = append([]byte{}, value...) // never nil
}

// text is a text with the values of its references.
func (r *renderer) text(t config.Text) ([]byte, error) {
	var out []byte
	for _, part := range t.Parts {
		switch {
		case part.FilesDir:
			out = append(out, r.filesDir...)
		case part.Ref.ID.Name == "":
			out = append(out, part.Literal...)
		default:
			value, err := r.reference(part.Ref)
			if err == nil {
				value, err = filter(part.Filter, value)
			}
			if err != nil {
				return nil, err
			}
			out = append(out, value...)
		}
	}
	return out, nil
}

// reference is the value of a reference, as text.
func (r *renderer) reference(ref secret.Ref) ([]byte, error) { return r.selected(ref, selectFrom) }

// selected takes the part of a secret that a reference names, or what stands in the
// place of one that is not found.
func (r *renderer) selected(ref secret.Ref, take func(secret.Ref, secret.Value) ([]byte, error)) ([]byte, error) {
	value, ok := r.snapshot.Get(ref.ID)
	if !ok {
		return nil, ErrNotFetched
	}
	var selected []byte
	err := error(&missingError{fmt.Sprintf("%s: there is no such secret", ref.ID)})
	if !value.Absent {
		selected, err = take(ref, value)
	}
	if _, missing := errors.AsType[*missingError](err); missing && ref.HasDefault {
		return []byte(ref.Default), nil
	} else if missing && ref.Optional {
		return nil, errAbsent
	}
	return selected, err
}

func (r *renderer) file(name string, item config.Item) {
	content, err := r.content(item)
	switch {
	case errors.Is(err, errAbsent):
	case err != nil:
		r.fail("file "+name, err)
	default:
		r.files[name] = NewFile(content, r.config.Files.ModeOf(item)).OwnedBy(r.config.Files.OwnerOf(item))
	}
}

func (r *renderer) content(item config.Item) ([]byte, error) {
	if item.Source.Text != "" {
		return r.template(item.Source)
	}
	ref, whole := item.From.Whole()
	write, many := writers[item.Format]
	switch {
	case many:
		document, err := r.selected(ref, selectJSON)
		if err != nil {
			return nil, err
		}
		c := r.config
		c.KMS.Region = cmp.Or(ref.ID.Region, c.KMS.Region)
		out, err := write(document, c)
		if err != nil {
			return nil, fmt.Errorf("%s: format %s: %w", ref.ID, item.Format, err)
		}
		return out, nil
	case whole && (item.Decode == "none" || item.Decode == "base64"):
		text, err := r.selected(ref, func(ref secret.Ref, v secret.Value) ([]byte, error) {
			v.Binary = false
			return selectFrom(ref, v)
		})
		if err != nil || item.Decode == "none" {
			return bytes.Clone(text), err
		}
		return decodeBase64(ref, text)
	default:
		return r.text(item.From)
	}
}
