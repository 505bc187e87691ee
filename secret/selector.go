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
)

// Selector names a part of a secret's value. The zero Selector is the whole.
type Selector struct {
	Kind Kind
	Text string // as written after the #
}

// ParseSelector parses what stands after the # of a reference.
func ParseSelector(text string) (Selector, error) {
	switch {
	case text == "":
		return Selector{}, errors.New("nothing after #: want a key of the secret, or /a/b")
	case text == "*", strings.HasPrefix(text, "jmes:"):
		return Selector{}, fmt.Errorf("selector %q is not supported: want a key of the secret, or /a/b", text)
	case text[0] != '/':
		return Selector{Kind: Key, Text: text}, nil
	}
	s := Selector{Kind: Pointer, Text: text}
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(text)
	if strings.Contains(rest, "~") {
		return Selector{}, fmt.Errorf("selector %q: ~ must be written ~0, and / inside a key ~1 (RFC 6901)", text)
	}
	return s, nil
}

// Path is the list of keys (or array indexes) to walk, outermost first; empty
// for the whole value.
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
