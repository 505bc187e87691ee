package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/kmsrun/kmsrun/secret"
)

// selectFrom takes the part of a value that a reference names. JSON strings come
// out unquoted, numbers and booleans as their JSON text, objects and arrays as
// compact JSON; null is a missing key. Errors name keys, never values.
func selectFrom(ref secret.Ref, v secret.Value) ([]byte, error) {
	current := v.Bytes()
	path := ref.Selector.Path()
	if len(path) == 0 {
		return current, nil
	}
	if !utf8.Valid(current) || !json.Valid(current) {
		return nil, fmt.Errorf("%s: the value is not JSON, so it has no key %q; without #%s it is taken whole",
			ref.ID, ref.Selector.Text, ref.Selector.Text)
	}
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
	return scalar(current)
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
			return nil, fmt.Errorf("no element %q; it is an array of %d", key, len(array))
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
		return fmt.Errorf("no key %q; it has none", key)
	}
	return fmt.Errorf("no key %q; it has %s", key, strings.Join(names, ", "))
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
