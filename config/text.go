package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kmsrun/kmsrun/secret"
)

// Text is a value in a declaration: a reference, or text with ${reference|filter}
// inside, or plain text. It is parsed once, when the declaration is read.
type Text struct {
	Parts []Part
}

// Part is a piece of a Text: exactly one of literal text, a reference, and the
// path of the files directory.
type Part struct {
	Literal  string
	Ref      secret.Ref // set when Ref.ID.Name is not empty
	Filter   string     // of the reference; empty for none
	FilesDir bool
}

// Parse errors quote references only, never the text around them: a declaration
// may hold a literal that its author would not like to see in a log.
var errUnclosed = errors.New("a reference in ${} has no closing }")

// Filters are the names that may follow the | inside ${}.
func Filters() []string { return []string{"urlencode", "base64", "json", "shell", "trim"} }

// UnmarshalText parses a value of a declaration.
func (t *Text) UnmarshalText(text []byte) error {
	parsed, err := parseText(string(text))
	if err == nil {
		*t = parsed
	}
	return err
}

// Refs lists the references in the text.
func (t Text) Refs() []secret.Ref {
	var refs []secret.Ref
	for _, p := range t.Parts {
		if p.Ref.ID.Name != "" {
			refs = append(refs, p.Ref)
		}
	}
	return refs
}

func parseText(s string) (Text, error) {
	if secret.IsReference(s) {
		ref, err := secret.ParseRef(s)
		return Text{Parts: []Part{{Ref: ref}}}, err
	}
	var t Text
	literal := ""
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			literal += s
			break
		}
		literal, s = literal+s[:i], s[i:]
		if rest, ok := strings.CutPrefix(s, "$${"); ok {
			literal, s = literal+"${", rest
			continue
		}
		if !isOurs(s) {
			literal, s = literal+"$", s[1:]
			continue
		}
		part, rest, err := parseExpansion(s)
		if err != nil {
			return Text{}, err
		}
		if literal != "" {
			t.Parts = append(t.Parts, Part{Literal: literal})
		}
		t.Parts, literal, s = append(t.Parts, part), "", rest
	}
	if literal != "" {
		t.Parts = append(t.Parts, Part{Literal: literal})
	}
	return t, nil
}

// isOurs tells ${kms:…}, ${acs:kms:…} and ${files_dir} from the ${} of shells and
// other tools, which stay as they are.
func isOurs(s string) bool {
	return strings.HasPrefix(s, "${kms:") || strings.HasPrefix(s, "${acs:kms:") || strings.HasPrefix(s, "${files_dir}")
}

// parseExpansion reads one ${…} at the start of s.
func parseExpansion(s string) (Part, string, error) {
	if rest, ok := strings.CutPrefix(s, "${files_dir}"); ok {
		return Part{FilesDir: true}, rest, nil
	}
	body := s[2:]
	end := strings.IndexAny(body, "#}")
	if end < 0 {
		return Part{}, "", errUnclosed
	}
	var quoted *string
	tail := body[end:]
	if after, ok := strings.CutPrefix(tail, "#'"); ok {
		text, rest, ok := strings.Cut(after, "'")
		if !ok {
			return Part{}, "", errors.New("the quoted selector in ${} has no closing '")
		}
		quoted, tail = &text, rest
	}
	inner, rest, ok := strings.Cut(tail, "}")
	if !ok {
		return Part{}, "", errUnclosed
	}
	if strings.Contains(inner, "${") {
		return Part{}, "", errUnclosed // the brace found is that of the next ${}
	}
	part, err := expansionPart(body[:end], quoted, inner)
	return part, rest, err
}

// expansionPart makes the part of HEAD, an optional quoted selector, and what
// stands between them and the closing brace: a selector or filter, or nothing.
func expansionPart(head string, quoted *string, inner string) (Part, error) {
	text, filter, hasFilter := cutLast(head+inner, '|')
	if quoted != nil {
		text = head
		if inner != "" && inner[0] != '|' {
			return Part{}, errors.New("want |FILTER or } after the quoted selector in ${}")
		}
		filter, hasFilter = strings.CutPrefix(inner, "|")
	}
	ref, err := secret.ParseRef(text)
	if err != nil {
		return Part{}, err
	}
	if quoted != nil {
		if ref.Selector, err = secret.ParseSelector(*quoted); err != nil {
			return Part{}, err
		}
	}
	if hasFilter && !slices.Contains(Filters(), filter) {
		return Part{}, fmt.Errorf("unknown filter %q: want %s", filter, strings.Join(Filters(), ", "))
	}
	return Part{Ref: ref, Filter: filter}, nil
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
