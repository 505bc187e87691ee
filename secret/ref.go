// Package secret holds the words of kmsrun: a reference to a secret (Ref), what
// one call to KMS reads (ID), a value that no printer can print (Value) and the
// immutable set of all values of one moment (Snapshot). It does no I/O, logs
// nothing and imports nothing but the standard library.
package secret

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// StageCurrent is the stage label that KMS puts on the version in force
// (GetSecretValue reads it when no stage is given).
const StageCurrent = "ACSCurrent"

// ErrName marks a reference whose name part no KMS secret can have, such as
// Hadoop's kms://http@host:9600/kms or the ARN of a key: it was probably never
// meant for us.
var ErrName = errors.New("not a name that a KMS secret can have")

// ID is what one GetSecretValue call reads: a secret, by name or in another
// account by its ARN, at a stage or at a pinned version. IDs are comparable.
type ID struct {
	Auth    string // the profile that logs in; empty means the default one
	Region  string // from an ARN or ?region=; empty means the client's own region
	Account string // from an ARN; empty means the caller's own account
	Name    string // 1 to 192 characters of A-Z a-z 0-9 _ / + = . @ -
	Stage   string // stage label; empty when Version is set
	Version string // pinned version id; empty when Stage is set
}

// Ref is one parsed reference: what to read, which part of it, and how to hand it
// over. Refs are comparable.
type Ref struct {
	ID       ID
	Selector Selector
	As       As
	Optional bool   // a reference that is not found is no failure
	Default  string // in the place of what is not found, where HasDefault
	// HasDefault tells an empty default from none.
	HasDefault bool
}

// As is what a variable holds of a reference.
type As string

// The forms of a variable.
const (
	AsEnv  As = ""     // the value itself
	AsFile As = "file" // the path of a file with the value
	AsFD   As = "fd"   // the path of an inherited memory file with the value
)

var (
	labelPattern = regexp.MustCompile(`^[A-Za-z0-9_/+=.@:-]+$`)
	regionName   = regexp.MustCompile(`^[a-z0-9-]+$`)
	arnPattern   = regexp.MustCompile(`^acs:kms:([a-z0-9-]+):([0-9]+):secret/(.*)$`)
)

// Lengths in characters (CreateSecret). They are not in the patterns: compiling a
// repetition of 192 takes a millisecond of every start.
const (
	maxName  = 192
	maxLabel = 64
)

// IsReference tells whether text is meant as a reference: whether it starts with
// one of the two schemes.
func IsReference(text string) bool {
	return strings.HasPrefix(text, "kms://") || strings.HasPrefix(text, "acs:kms:")
}

// SyntaxError is what is wrong with a reference, and where. Its text names the
// place as "character N", counted from 1.
type SyntaxError struct {
	Offset int // in bytes from the start of the text
	At     int // in characters from the start of the text, 0 for the first
	Err    error
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("character %d: %s", e.At+1, e.Err) }

// Unwrap gives the fault without its place.
func (e *SyntaxError) Unwrap() error { return e.Err }

// Shift is a fault found in the rest of text that begins at offset, as a fault of
// text.
func Shift(text string, offset int, err error) error {
	inner := &SyntaxError{Err: err}
	if at, ok := errors.AsType[*SyntaxError](err); ok {
		inner = at
	}
	at := min(offset+inner.Offset, len(text))
	return &SyntaxError{Offset: at, At: utf8.RuneCountInString(text[:at]), Err: inner.Err}
}

// ParseRef parses a whole reference at the stage [StageCurrent]; see [ParseRefAt].
func ParseRef(text string) (Ref, error) { return ParseRefAt(text, StageCurrent) }

// ParseRefAt parses a whole reference, at a stage of its own or else at stage:
//
//	kms://NAME[?option&...][#selector]
//	acs:kms:REGION:ACCOUNT:secret/NAME[?option&...][#selector]
//
// It splits by hand at the first ? and #, because names may hold characters that
// a URL parser would take for user info, host or escapes. The error is a
// *[SyntaxError], and wraps [ErrName] when the name part is impossible.
func ParseRefAt(text, stage string) (Ref, error) {
	before, selector, hasSelector := strings.Cut(text, "#")
	head, options, hasOptions := strings.Cut(before, "?")
	id, err := parseHead(head)
	if err != nil {
		return Ref{}, Shift(text, 0, err)
	}
	ref := Ref{ID: id}
	if hasOptions {
		if err := ref.setOptions(options); err != nil {
			return Ref{}, Shift(text, len(head)+1, err)
		}
	}
	if ref.ID.Version == "" && ref.ID.Stage == "" {
		ref.ID.Stage = stage
	}
	if hasSelector {
		if ref.Selector, err = ParseSelector(selector); err != nil {
			return Ref{}, Shift(text, len(before)+1, err)
		}
	}
	return ref, nil
}

func parseHead(head string) (ID, error) {
	var id ID
	offset := len("kms://")
	if name, ok := strings.CutPrefix(head, "kms://"); ok {
		id.Name = name
	} else if m := arnPattern.FindStringSubmatch(head); m != nil {
		id.Region, id.Account, id.Name = m[1], m[2], m[3]
		offset = len(head) - len(id.Name)
	} else if strings.HasPrefix(head, "acs:kms:") {
		return ID{}, fmt.Errorf("%q: %w: want acs:kms:REGION:ACCOUNT:secret/NAME", head, ErrName)
	} else {
		return ID{}, fmt.Errorf("not a reference: want kms://NAME or an ARN, got %q", head)
	}
	if at := badCharacter(id.Name); at >= 0 || len(id.Name) > maxName || id.Name == "" {
		return ID{}, Shift(head, offset+max(at, 0), fmt.Errorf("name %q: %w: 1 to 192 of A-Z a-z 0-9 _ / + = . @ -", id.Name, ErrName))
	}
	return id, nil
}

// badCharacter is the place of the first character that no name may hold; -1 for
// none.
func badCharacter(name string) int {
	return strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_/+=.@-", r)
	})
}

// Pinned tells whether the ID names one version: it never changes, and is never
// polled.
func (id ID) Pinned() bool { return id.Version != "" }

// SecretName is the SecretName parameter of the KMS actions: the plain name, or
// the ARN where the reference was one (needed across accounts).
func (id ID) SecretName() string {
	if id.Account == "" {
		return id.Name
	}
	return "acs:kms:" + id.Region + ":" + id.Account + ":secret/" + id.Name
}

// Label names the secret in metrics: the name or ARN, and where the reference says
// more than that, the region and the login.
func (id ID) Label() string {
	return strings.TrimPrefix(ID{Auth: id.Auth, Region: id.Region, Account: id.Account, Name: id.Name, Stage: StageCurrent}.String(), "kms://")
}
