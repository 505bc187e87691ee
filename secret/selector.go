package secret

import (
	"errors"
	"fmt"
	"strings"
)

// Kind says how a Selector finds its part of a secret.
type Kind int

// The kinds of selector.
const (
	Whole   Kind = iota // the whole value
	Key                 // an exact top-level key of a JSON secret; dots and slashes are literal
	Pointer             // a JSON Pointer (RFC 6901)
	JMES                // a JMESPath expression
	All                 // all top-level keys
)

// Selector names a part of a secret's value. The zero Selector is the whole.
type Selector struct {
	Kind Kind
	Text string // as written after the #
}

// jmesPrefix begins a selector in JMESPath.
const jmesPrefix = "jmes:"

// ParseSelector parses what stands after the # of a reference. Whether an expression
// is JMESPath is not decided here. The error is a *[SyntaxError].
func ParseSelector(text string) (Selector, error) {
	expression, jmes := strings.CutPrefix(text, jmesPrefix)
	switch {
	case text == "":
		return Selector{}, &SyntaxError{Err: errors.New("nothing after #: want a key of the secret, /a/b, jmes:EXPRESSION or *")}
	case text == "*":
		return Selector{Kind: All, Text: text}, nil
	case jmes && expression == "":
		return Selector{}, Shift(text, len(text), errors.New("nothing after jmes:: want a JMESPath expression"))
	case jmes:
		return Selector{Kind: JMES, Text: text}, nil
	case text[0] != '/':
		return Selector{Kind: Key, Text: text}, nil
	}
	for i := range len(text) {
		if text[i] == '~' && (i+1 == len(text) || text[i+1] != '0' && text[i+1] != '1') {
			return Selector{}, Shift(text, i, fmt.Errorf("selector %q: ~ must be written ~0, and / inside a key ~1 (RFC 6901)", text))
		}
	}
	return Selector{Kind: Pointer, Text: text}, nil
}

// Expression is the JMESPath of a selector of that kind.
func (s Selector) Expression() string { return strings.TrimPrefix(s.Text, jmesPrefix) }

// Path is the list of keys (or array indexes) to walk, outermost first; empty
// for the whole value and for what is not a path.
func (s Selector) Path() []string {
	switch s.Kind {
	case Key:
		return []string{s.Text}
	case Pointer:
		keys := strings.Split(s.Text[1:], "/")
		unescape := strings.NewReplacer("~1", "/", "~0", "~")
		for i, key := range keys {
			keys[i] = unescape.Replace(key)
		}
		return keys
	default:
		return nil
	}
}
