package emulator

import (
	"encoding/json"
	"slices"
)

const maxFilters = 10

// filter is one condition on a list: the value of Key is one of Values.
type filter struct {
	Key    string
	Values []string
}

// parseFilters reads the JSON of ListSecrets and ListKeys, whose filters look at what filtered knows.
func parseFilters(text string, filtered func(string) ([]string, bool)) ([]filter, error) {
	if text == "" {
		return nil, nil
	}
	var all []filter
	if json.Unmarshal([]byte(text), &all) != nil || len(all) > maxFilters {
		return nil, invalid("Filters")
	}
	for _, f := range all {
		if _, known := filtered(f.Key); !known || len(f.Values) == 0 {
			return nil, invalid("Filters")
		}
	}
	return all, nil
}

// matchAll holds when every filter does. Values are compared as a whole and with their case: it is not said whether a
// part is enough, and a caller who finds too little notices.
func matchAll(all []filter, filtered func(string) ([]string, bool)) bool {
	for _, condition := range all {
		have, _ := filtered(condition.Key)
		if !slices.ContainsFunc(condition.Values, func(want string) bool { return slices.Contains(have, want) }) {
			return false
		}
	}
	return true
}

// filtered returns what a filter of that key looks at. TagKey and TagValue are independent of each other.
func (f facts) filtered(key, creator string) (values []string, known bool) {
	switch key {
	case "SecretName":
		return []string{f.name}, true
	case "Description":
		return []string{f.description}, true
	case "DKMSInstanceId":
		return []string{f.instance}, true
	case "SecretType":
		return []string{f.kind}, true
	case "Creator":
		return []string{creator}, true
	case "TagKey":
		for _, t := range f.tags {
			values = append(values, t.Key)
		}
		return values, true
	case "TagValue":
		for _, t := range f.tags {
			values = append(values, t.Value)
		}
		return values, true
	}
	return nil, false
}
