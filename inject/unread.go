package inject

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// unread is a secret that can't be read, and what it is wanted for.
type unread struct {
	uses []string
	err  error
}

// mostUses bounds how many uses one line tells.
const mostUses = 6

func (u *unread) Error() string {
	uses := strings.Join(u.uses[:min(len(u.uses), mostUses)], ", ")
	if more := len(u.uses) - mostUses; more > 0 {
		uses += fmt.Sprintf(" and %d more", more)
	}
	return uses + ": " + u.err.Error()
}

func (u *unread) Unwrap() error { return u.err }

// shared is a failure that may be of more than one secret.
type shared interface {
	error
	Cause() string // the same for the same cause; empty for a failure of one secret
	ForMany(secrets int) error
}

// byCause makes one failure of those that have one cause, each in the place of its
// first: a login that fails is one fault, however many secrets wait behind it.
func byCause(failures []error) []error {
	var faults []error
	first := map[string]*unread{}
	secrets := map[string]int{}
	for _, failure := range failures {
		u, ok := errors.AsType[*unread](failure)
		s, may := errors.AsType[shared](failure)
		if !ok || !may || s.Cause() == "" {
			faults = append(faults, failure)
			continue
		}
		cause := s.Cause()
		secrets[cause]++
		if known := first[cause]; known != nil {
			known.uses, known.err = append(known.uses, u.uses...), s.ForMany(secrets[cause])
			continue
		}
		first[cause] = &unread{slices.Clone(u.uses), u.err}
		faults = append(faults, first[cause])
	}
	return faults
}
