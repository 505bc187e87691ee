package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kmsrun/kmsrun/internal/jmes"
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
// may hold a literal that its author would not like to see in a log. They are
// *secret.SyntaxErrors, whose places count from the start of the text.
var errUnclosed = errors.New("a reference in ${} has no closing }")

// Filters are the names that may follow the | inside ${}.
func Filters() []string { return []string{"urlencode", "base64", "json", "shell", "trim"} }

// UnmarshalText parses a value of a declaration, its references at the stage
// [secret.StageCurrent] unless they say another.
func (t *Text) UnmarshalText(text []byte) error {
	return t.parse(string(text), secret.StageCurrent)
}

func (t *Text) parse(text, stage string) error {
	parsed, err := parseText(text, stage)
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

// Whole is the reference that is all of the text; ok is false if it is not one alone.
func (t Text) Whole() (ref secret.Ref, ok bool) {
	if len(t.Parts) != 1 || t.Parts[0].Ref.ID.Name == "" || t.Parts[0].Filter != "" {
		return secret.Ref{}, false
	}
	return t.Parts[0].Ref, true
}

func parseText(s, stage string) (Text, error) {
	if secret.IsReference(s) {
		ref, err := parseRef(s, stage)
		if err != nil {
			return Text{}, err
		}
		return Text{Parts: []Part{{Ref: ref}}}, nil
	}
	var t Text
	literal, all := "", s
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
		part, rest, err := parseExpansion(s, stage)
		if err != nil {
			return Text{}, secret.Shift(all, len(all)-len(s), err)
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

// parseRef parses a whole reference, and the expression in it.
func parseRef(text, stage string) (secret.Ref, error) {
	ref, err := secret.ParseRefAt(text, stage)
	if err == nil {
		if err = checkSelector(ref.Selector); err != nil {
			err = secret.Shift(text, strings.IndexByte(text, '#')+1, err)
		}
	}
	return ref, err
}

// checkSelector checks what the package secret can't: JMESPath.
func checkSelector(s secret.Selector) error {
	if s.Kind != secret.JMES {
		return nil
	}
	err := jmes.Check(s.Expression())
	if fault, ok := errors.AsType[*jmes.Fault](err); ok {
		return secret.Shift(s.Text, len(s.Text)-len(s.Expression())+fault.Offset, fault)
	}
	return err
}

// isOurs tells ${kms:…}, ${acs:kms:…} and ${files_dir} from the ${} of shells and
// other tools, which stay as they are.
func isOurs(s string) bool {
	return strings.HasPrefix(s, "${kms:") || strings.HasPrefix(s, "${acs:kms:") || strings.HasPrefix(s, "${files_dir}")
}

// parseExpansion reads one ${…} at the start of s.
func parseExpansion(s, stage string) (Part, string, error) {
	if rest, ok := strings.CutPrefix(s, "${files_dir}"); ok {
		return Part{FilesDir: true}, rest, nil
	}
	body := s[2:]
	end := strings.IndexAny(body, "#}")
	if end < 0 {
		return Part{}, "", errUnclosed
	}
	e := expansion{head: body[:end], stage: stage}
	tail := body[end:]
	if after, ok := strings.CutPrefix(tail, "#'"); ok {
		i := closingQuote(after)
		if i < 0 {
			return Part{}, "", secret.Shift(s, len("${")+end+1, errors.New("the quoted selector in ${} has no closing '"))
		}
		e.quoted, e.written, tail = true, after[:i], after[i+1:]
	}
	inner, rest, ok := strings.Cut(tail, "}")
	if !ok || strings.Contains(inner, "${") { // the brace found is that of the next ${}
		return Part{}, "", errUnclosed
	}
	e.inner = inner
	part, err := e.part()
	if err != nil {
		return Part{}, "", secret.Shift(s, len("${"), err)
	}
	return part, rest, nil
}

// closingQuote finds the ' that ends a quoted selector; ” stands for one inside.
func closingQuote(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		if i+1 == len(s) || s[i+1] != '\'' {
			return i
		}
		i++
	}
	return -1
}

// expansion is the inside of one ${}: HEAD, an optional quoted selector, and what
// stands between them and the closing brace: a selector or filter, or nothing.
type expansion struct {
	head, stage string
	quoted      bool
	written     string // the quoted selector as it is written, without its quotes
	inner       string
}

func (e expansion) part() (Part, error) {
	text, filter, hasFilter := cutLast(e.head+e.inner, '|')
	before := text // of the | and the filter
	if e.quoted {
		text, before = e.head, e.head+"#'"+e.written+"'"
		if e.inner != "" && e.inner[0] != '|' {
			return Part{}, secret.Shift(before, len(before), errors.New("want |FILTER or } after the quoted selector in ${}"))
		}
		filter, hasFilter = strings.CutPrefix(e.inner, "|")
	}
	ref, err := parseRef(text, e.stage)
	if err != nil {
		return Part{}, err
	}
	if e.quoted {
		if ref.Selector, err = e.selector(); err != nil {
			return Part{}, secret.Shift(before, len(e.head)+len("#'"), err)
		}
	}
	if hasFilter && !slices.Contains(Filters(), filter) {
		err := fmt.Errorf("unknown filter %q: want %s", filter, strings.Join(Filters(), ", "))
		return Part{}, secret.Shift(before+"|"+filter, len(before)+1, err)
	}
	return Part{Ref: ref, Filter: filter}, nil
}

// selector is the quoted selector. The place of a fault in it is off by one for each
// doubled quote before it.
func (e expansion) selector() (secret.Selector, error) {
	selector, err := secret.ParseSelector(strings.ReplaceAll(e.written, "''", "'"))
	if err == nil {
		err = checkSelector(selector)
	}
	return selector, err
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}
