package emulator

import (
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// seedKey is one entry of the section keys.
type seedKey struct {
	id, description string
	line            int
}

// key reads one key: a map that may be empty, or nothing at all.
func (p *seedParser) key(key, value *yaml.Node) (seedKey, error) {
	k := seedKey{id: key.Value, line: key.Line}
	if !validID(k.id) || !validName(k.id) {
		return k, p.fault(k.line, "a key id must be 1 to %d of A-Z a-z 0-9 _ / + = . @ -", maxID)
	}
	if null(target(value)) {
		return k, nil
	}
	return k, p.eachKey(value, "a key", func(key, value *yaml.Node) error {
		value = target(value)
		if key.Value != "description" {
			return p.fault(key.Line, "key %q: unknown key, the only one is description", k.id)
		}
		if value.Kind != yaml.ScalarNode || null(value) || utf8.RuneCountInString(value.Value) > maxDescription {
			return p.fault(value.Line, "key %q: description must be text of up to %d characters", k.id, maxDescription)
		}
		k.description = value.Value
		return nil
	})
}

// sections finds the parts of the file. It needs one, or it is probably no seed file.
func (p *seedParser) sections(root *yaml.Node) (secrets, keys *yaml.Node, err error) {
	err = p.eachKey(root, "the file", func(key, value *yaml.Node) error {
		switch key.Value {
		case "secrets":
			secrets = value
		case "keys":
			keys = value
		default:
			return p.fault(key.Line, "unknown key, known are secrets and keys")
		}
		return nil
	})
	if err == nil && secrets == nil && keys == nil {
		err = p.fault(root.Line, "the key secrets is missing")
	}
	return secrets, keys, err
}

// addKeys creates the keys that are not there yet. A key that is there stays as it is: it has nothing that a file could
// change for those who use it.
func (s *Seed) addKeys() {
	for _, k := range s.last.keys {
		if !s.store.hasKey(k.id) {
			s.store.addKey(newKey(k.id, k.description))
		}
	}
}
