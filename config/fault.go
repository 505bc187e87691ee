package config

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hashicorp/go-multierror"
)

// Fault is one thing wrong with a declaration: where and what.
type Fault struct {
	File string `json:"file,omitempty"` // path of the declaration; empty for a flag or a variable
	Line int    `json:"line,omitempty"` // in File, from 1
	Key  string `json:"key,omitempty"`  // dotted path of the key, or the flag or variable
	Text string `json:"text"`
}

func (f *Fault) Error() string {
	switch {
	case f.File == "":
		return fmt.Sprintf("%s: %s", f.Key, f.Text)
	case f.Key == "":
		return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text)
	default:
		return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Key, f.Text)
	}
}

// faults gathers what is wrong, wherever it is found.
type faults []*Fault

// err is all of them in one error, by line; those of flags and variables first.
func (fs faults) err() error {
	slices.SortStableFunc(fs, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	var all *multierror.Error
	for _, f := range fs {
		all = multierror.Append(all, f)
	}
	return all.ErrorOrNil()
}
