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

// Ref is one parsed reference: what to read, and which part of it.
type Ref struct {
	ID       ID
	Selector Selector
}

var (
	namePattern  = regexp.MustCompile(`^[A-Za-z0-9_/+=.@-]+$`)
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

// ParseRef parses a whole reference:
//
//	kms://NAME[?option&...][#selector]
//	acs:kms:REGION:ACCOUNT:secret/NAME[?option&...][#selector]
//
// It splits by hand at the first ? and #, because names may hold characters that
// a URL parser would take for user info, host or escapes. The error wraps
// [ErrName] when the name part is impossible.
func ParseRef(text string) (Ref, error) {
	head, selector, hasSelector := strings.Cut(text, "#")
	head, options, hasOptions := strings.Cut(head, "?")
	id, err := parseHead(head)
	if err != nil {
		return Ref{}, err
	}
	if hasOptions {
		if err := id.setOptions(options); err != nil {
			return Ref{}, err
		}
	}
	if id.Version == "" && id.Stage == "" {
		id.Stage = StageCurrent
	}
	ref := Ref{ID: id}
	if hasSelector {
		if ref.Selector, err = ParseSelector(selector); err != nil {
			return Ref{}, err
		}
	}
	return ref, nil
}

func parseHead(head string) (ID, error) {
	var id ID
	if name, ok := strings.CutPrefix(head, "kms://"); ok {
		id.Name = name
	} else if m := arnPattern.FindStringSubmatch(head); m != nil {
		id.Region, id.Account, id.Name = m[1], m[2], m[3]
	} else if strings.HasPrefix(head, "acs:kms:") {
		return ID{}, fmt.Errorf("%q: %w: want acs:kms:REGION:ACCOUNT:secret/NAME", head, ErrName)
	} else {
		return ID{}, fmt.Errorf("not a reference: want kms://NAME or an ARN, got %q", head)
	}
	if len(id.Name) > maxName || !namePattern.MatchString(id.Name) {
		return ID{}, fmt.Errorf("name %q: %w: 1 to 192 of A-Z a-z 0-9 _ / + = . @ -", id.Name, ErrName)
	}
	return id, nil
}

func (id *ID) setOptions(options string) error {
	given := map[string]bool{}
	for option := range strings.SplitSeq(options, "&") {
		name, value, _ := strings.Cut(option, "=")
		if given[name] {
			return fmt.Errorf("option %q is given twice", name)
		}
		given[name] = true
		if err := id.setOption(name, value); err != nil {
			return err
		}
	}
	if id.Stage != "" && id.Version != "" {
		return errors.New("options stage and version exclude each other")
	}
	return nil
}

func (id *ID) setOption(name, value string) error {
	pattern, what := labelPattern, "a label or version id"
	target := &id.Stage
	switch name {
	case "stage":
	case "version":
		target = &id.Version
	case "auth":
		target, what = &id.Auth, "the name of an auth profile"
	case "region":
		if id.Account != "" {
			return errors.New("option \"region\": an ARN has its region already")
		}
		target, pattern, what = &id.Region, regionName, "a region"
	default:
		return fmt.Errorf("unknown option %q: want stage=LABEL, version=ID, region=REGION or auth=PROFILE", name)
	}
	if len(value) > maxLabel || !pattern.MatchString(value) {
		return fmt.Errorf("option %q: %q is not %s", name, value, what)
	}
	*target = value
	return nil
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
	return ID{Auth: id.Auth, Region: id.Region, Account: id.Account, Name: id.Name, Stage: StageCurrent}.text("")
}

// String is the reference to the whole secret; it parses back to the same ID.
func (id ID) String() string { return id.text("kms://") }

func (id ID) text(scheme string) string {
	text := id.SecretName()
	if id.Account == "" {
		text = scheme + text
	}
	var options []string
	option := func(name, value string) {
		if value != "" {
			options = append(options, name+"="+value)
		}
	}
	option("version", id.Version)
	if id.Stage != StageCurrent {
		option("stage", id.Stage)
	}
	if id.Account == "" {
		option("region", id.Region)
	}
	option("auth", id.Auth)
	if len(options) > 0 {
		text += "?" + strings.Join(options, "&")
	}
	return text
}

// String parses back to the same Ref.
func (r Ref) String() string {
	if r.Selector.Kind == Whole {
		return r.ID.String()
	}
	return r.ID.String() + "#" + r.Selector.Text
}
