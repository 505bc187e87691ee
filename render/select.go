package render

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kmsrun/kmsrun/internal/jmes"
	"github.com/kmsrun/kmsrun/secret"
)

// missingError says that a reference is not found: its secret, or a key of it.
type missingError struct{ text string }

func (e *missingError) Error() string { return e.text }

// selectFrom takes the part of a value that a reference names. JSON strings come
// out unquoted, numbers and booleans as their JSON text, objects and arrays as
// compact JSON; null is a missing key. Errors name keys, never values.
func selectFrom(ref secret.Ref, v secret.Value) ([]byte, error) {
	if ref.Selector.Kind == secret.Whole {
		return plain(v), nil
	}
	document, err := selectJSON(ref, v)
	if err != nil {
		return nil, err
	}
	return scalar(document)
}

// plain is the whole plaintext. That of a binary secret is decoded, if it is base64:
// clients that store other text as binary exist.
func plain(v secret.Value) []byte {
	value := v.Bytes()
	if v.Binary {
		if decoded, err := base64.StdEncoding.DecodeString(string(value)); err == nil {
			return decoded
		}
	}
	return value
}

// decodeBase64 decodes what is said to be base64, with or without padding and line
// breaks, in the standard or the URL alphabet.
func decodeBase64(ref secret.Ref, text []byte) ([]byte, error) {
	bare := strings.NewReplacer("\r", "", "\n", "", "-", "+", "_", "/").Replace(strings.TrimSpace(string(text)))
	decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(bare, "="))
	if err != nil {
		return nil, fmt.Errorf("%s: decode: base64: the value is not base64", ref.ID)
	}
	return decoded, nil
}

// selectJSON takes the part of a JSON value that a reference names, as JSON.
func selectJSON(ref secret.Ref, v secret.Value) ([]byte, error) {
	current := plain(v)
	if !utf8.Valid(current) || !json.Valid(current) {
		if ref.Selector.Kind == secret.Whole || ref.Selector.Kind == secret.All {
			return nil, fmt.Errorf("%s: the value is not JSON, so it has no keys", ref.ID)
		}
		return nil, fmt.Errorf("%s: the value is not JSON, so it has no key %q; without #%s it is taken whole",
			ref.ID, ref.Selector.Text, ref.Selector.Text)
	}
	if ref.Selector.Kind == secret.JMES {
		result, err := jmes.Search(ref.Selector.Expression(), current)
		if errors.Is(err, jmes.ErrNothing) {
			err = &missingError{err.Error()}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", ref.ID, ref.Selector.Text, err)
		}
		return result, nil
	}
	path := ref.Selector.Path()
	for i, key := range path {
		next, err := step(current, key)
		if err != nil {
			where := ""
			if i > 0 {
				where = " in /" + strings.Join(path[:i], "/")
			}
			return nil, fmt.Errorf("%s%s: %w", ref.ID, where, err)
		}
		current = next
	}
	return current, nil
}

// step goes down one level of valid JSON.
func step(document json.RawMessage, key string) (json.RawMessage, error) {
	switch document = bytes.TrimSpace(document); document[0] {
	case '{':
		var object map[string]json.RawMessage
		if err := json.Unmarshal(document, &object); err != nil {
			return nil, errors.New("the value is not a JSON object")
		}
		if member, ok := object[key]; ok && string(member) != "null" {
			return member, nil
		}
		return nil, missingKey(key, object)
	case '[':
		var array []json.RawMessage
		if err := json.Unmarshal(document, &array); err != nil {
			return nil, errors.New("the value is not a JSON array")
		}
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 || n >= len(array) || strconv.Itoa(n) != key || string(array[n]) == "null" {
			return nil, &missingError{fmt.Sprintf("no element %q; it is an array of %d", key, len(array))}
		}
		return array[n], nil
	default:
		return nil, fmt.Errorf("no key %q; it is a single JSON value", key)
	}
}

// maxListed bounds the key names in an error.
const maxListed = 30

func missingKey(key string, object map[string]json.RawMessage) error {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if string(object[name]) != "null" {
			names = append(names, strconv.Quote(name))
		}
	}
	if len(names) > maxListed {
		names = append(names[:maxListed], fmt.Sprintf("and %d more", len(names)-maxListed))
	}
	if len(names) == 0 {
		return &missingError{fmt.Sprintf("no key %q; it has none", key)}
	}
	return &missingError{fmt.Sprintf("no key %q; it has %s", key, strings.Join(names, ", "))}
}

func scalar(document json.RawMessage) ([]byte, error) {
	switch document = bytes.TrimSpace(document); document[0] {
	case '"':
		var text string
		err := json.Unmarshal(document, &text)
		return []byte(text), err
	case '{', '[':
		var compact bytes.Buffer
		err := json.Compact(&compact, document)
		return compact.Bytes(), err
	default:
		return document, nil
	}
}
