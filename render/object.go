package render

import (
	"bytes"
	"encoding/json"
	"errors"
)

// member is one key of a JSON object, with the JSON of its value.
type member struct {
	key   string
	value json.RawMessage
}

// members takes a JSON object apart, in its order. Of a key that is there twice the
// last value counts, as for most readers.
func members(document []byte) ([]member, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("the value is not a JSON object, so it has no keys")
	}
	var list []member
	at := map[string]int{}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, errors.New("the value is not JSON")
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, errors.New("the value is not JSON")
		}
		name, _ := key.(string)
		if i, again := at[name]; again {
			list[i].value = value
			continue
		}
		at[name] = len(list)
		list = append(list, member{name, value})
	}
	return list, nil
}

// texts are the members of an object as references would give them, without those
// that are null.
func texts(document []byte) (keys []string, values [][]byte, err error) {
	list, err := members(document)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range list {
		if string(m.value) == "null" {
			continue
		}
		value, err := scalar(m.value)
		if err != nil {
			return nil, nil, errors.New("the value is not JSON")
		}
		keys, values = append(keys, m.key), append(values, value)
	}
	return keys, values, nil
}
