package emulator

import (
	"encoding/json"
	"strings"
)

const (
	maxTags    = 20 // one page says 10
	maxTagText = 128
)

type tag struct {
	Key   string `json:"TagKey"`
	Value string `json:"TagValue"`
}

// tags is the list in the form the API wraps lists in.
type tags struct {
	Tag []tag `json:"Tag"`
}

// parseTags reads a JSON array of tags.
func parseTags(text string) ([]tag, error) {
	if text == "" {
		return nil, nil
	}
	var all []tag
	if json.Unmarshal([]byte(text), &all) != nil {
		return nil, invalid("Tags")
	}
	return all, checkTags(all, "Tags")
}

// checkTags holds the rules for tags that are to be put on. Whether a key may occur twice is not said; it is refused.
func checkTags(all []tag, parameter string) error {
	seen := map[string]bool{}
	for _, t := range all {
		reserved := strings.HasPrefix(t.Key, "aliyun") || strings.HasPrefix(t.Key, "acs:")
		if t.Key == "" || reserved || seen[t.Key] || !tagText(t.Key) || !tagText(t.Value) {
			return invalid(parameter)
		}
		seen[t.Key] = true
	}
	if len(all) > maxTags {
		return invalid(parameter)
	}
	return nil
}

func tagText(s string) bool {
	return len(s) <= maxTagText && strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune(letters+digits+`/\_-.+=:@`, r)
	}) < 0
}

// wrapTags is nothing unless tags were asked for, and then an empty list rather than none.
func wrapTags(fetch bool, all []tag) *tags {
	if !fetch {
		return nil
	}
	return &tags{Tag: append([]tag{}, all...)}
}
