package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	errTooBig = errors.New("value too big")
	errTag    = errors.New("unknown tag")
	errKey    = errors.New("key not plain or not unique")
)

// value takes a scalar as its text and anything else as compact JSON.
func (p *seedParser) value(s *seedSecret, n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		if !known(n) {
			return p.fault(n.Line, "secret %q: the value has an unknown tag (a value that starts with ! needs quotes)", s.name)
		}
		if null(n) {
			return p.fault(n.Line, "secret %q: the value is missing", s.name)
		}
		return p.keep(s, n.Value, n.Line)
	}
	var b bytes.Buffer
	at, err := writeJSON(&b, n)
	switch {
	case errors.Is(err, errTag):
		return p.fault(at.Line, "secret %q: unknown tag (a value that starts with ! needs quotes)", s.name)
	case errors.Is(err, errKey):
		return p.fault(at.Line, "secret %q: the keys of a map must be plain text and occur once", s.name)
	}
	return p.keep(s, b.String(), n.Line)
}

// keep takes the value if KMS would.
func (p *seedParser) keep(s *seedSecret, data string, line int) error {
	s.version.data = data
	if (version{id: "v1", data: data, dataType: typeText}).check() != nil {
		return p.fault(line, "secret %q: the value must be 1 to %d bytes of UTF-8 text", s.name, maxValue)
	}
	return nil
}

// valueFile takes the bytes of a file as they are.
func (p *seedParser) valueFile(s *seedSecret, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || null(n) || n.Value == "" {
		return p.fault(n.Line, "secret %q: value_file must be a path", s.name)
	}
	path := n.Value
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(p.path), path)
	}
	p.reading.files = append(p.reading.files, path)
	data, err := readCapped(path, maxValue)
	p.reading.raw += "\x00" + data
	if err != nil {
		p.reading.raw += "error: " + err.Error()
		return p.fault(n.Line, "secret %q: reading value_file %q: %v", s.name, n.Value, err)
	}
	return p.keep(s, data, n.Line)
}

func (p *seedParser) versionID(s *seedSecret, n *yaml.Node) error {
	s.version.id = n.Value
	if n.Kind != yaml.ScalarNode || null(n) || !validID(n.Value) {
		return p.fault(n.Line, "secret %q: version must be 1 to %d characters", s.name, maxID)
	}
	return nil
}

func (p *seedParser) dataType(s *seedSecret, n *yaml.Node) error {
	s.version.dataType = n.Value
	if n.Kind != yaml.ScalarNode || n.Value != typeText && n.Value != typeBinary {
		return p.fault(n.Line, "secret %q: data_type must be text or binary", s.name)
	}
	return nil
}

// known tells whether we know what a scalar means. A tag of the user's own has no JSON.
func known(n *yaml.Node) bool {
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!binary":
		return true
	}
	return false
}

// writeJSON appends n as compact JSON, or returns the node at fault. Aliases may fold a big or endless value into a small
// file, so it stops where KMS would refuse the size; every step writes at least one byte.
func writeJSON(b *bytes.Buffer, n *yaml.Node) (*yaml.Node, error) {
	n = target(n)
	if b.Len() > maxValue {
		return n, errTooBig
	}
	switch {
	case n.Kind == yaml.ScalarNode && known(n):
		writeScalar(b, n)
		return nil, nil
	case n.Kind == yaml.SequenceNode && n.ShortTag() == "!!seq":
		b.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if at, err := writeJSON(b, item); err != nil {
				return at, err
			}
		}
		b.WriteByte(']')
		return nil, nil
	case n.Kind == yaml.MappingNode && n.ShortTag() == "!!map":
		return writeMap(b, n)
	}
	return n, errTag
}

func writeMap(b *bytes.Buffer, n *yaml.Node) (*yaml.Node, error) {
	seen := map[string]bool{}
	b.WriteByte('{')
	for i := 0; i < len(n.Content); i += 2 {
		key := target(n.Content[i])
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" || seen[key.Value] {
			return n.Content[i], errKey
		}
		seen[key.Value] = true
		if i > 0 {
			b.WriteByte(',')
		}
		writeString(b, key.Value)
		b.WriteByte(':')
		if at, err := writeJSON(b, n.Content[i+1]); err != nil {
			return at, err
		}
	}
	b.WriteByte('}')
	return nil, nil
}

// writeScalar keeps the text of a scalar: a number stays what it is, digit by digit, if JSON has that number, and is a
// string of its text if not (0x1F, .5, 1_000).
func writeScalar(b *bytes.Buffer, n *yaml.Node) {
	switch tag := n.ShortTag(); {
	case tag == "!!null":
		b.WriteString("null")
	case tag == "!!bool" && (strings.EqualFold(n.Value, "true") || strings.EqualFold(n.Value, "false")):
		b.WriteString(strings.ToLower(n.Value))
	case (tag == "!!int" || tag == "!!float") && json.Valid([]byte(n.Value)):
		b.WriteString(n.Value)
	default:
		writeString(b, n.Value)
	}
}

func writeString(b *bytes.Buffer, s string) {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)       // a string always encodes
	b.Truncate(b.Len() - 1) // its newline
}
