package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxExtended = 1024 // characters
	maxCustom   = 10   // pairs of CustomData
)

// extended is the ExtendedConfig of a managed secret: where the account lives whose password is kept. The API sends
// it both ways as a string that holds JSON.
type extended map[string]any

// domains are the values that a key may have, where they are listed.
var domains = map[string][]string{
	"DBType":      {"MySQL", "PostgreSQL"},
	"AccountType": {"Normal"},
}

// parseExtended reads the parameter for a type and finds its subtype. An unknown key is refused: it is
// sooner a misspelt one than a wish.
func parseExtended(kind, text string) (extended, subtype, error) {
	bad := invalid("ExtendedConfig")
	var x extended
	if utf8.RuneCountInString(text) > maxExtended || decodeExact(text, &x) != nil {
		return nil, subtype{}, bad
	}
	f, ok := subtypes[kind+" "+x.text("SecretSubType")]
	if !ok {
		return nil, subtype{}, bad
	}
	custom, given := x["CustomData"]
	if !given {
		custom = map[string]any{}
	}
	if pairs, ok := custom.(map[string]any); !ok || len(pairs) > maxCustom {
		return nil, subtype{}, bad
	}
	for key, value := range x {
		if key == "CustomData" {
			continue
		}
		text, ok := value.(string)
		if domain := domains[key]; !ok || !f.knows(key) || domain != nil && !slices.Contains(domain, text) {
			return nil, subtype{}, bad
		}
	}
	for _, names := range f.required {
		if !slices.ContainsFunc(strings.Split(names, "|"), func(name string) bool { return x.text(name) != "" }) {
			return nil, subtype{}, bad
		}
	}
	x["CustomData"] = custom
	return x, f, x.pair()
}

// pair completes the name of the second account, which is that of the first with a suffix.
func (x extended) pair() error {
	account := x.text("AccountName")
	if account == "" {
		return nil
	}
	if clone := x.text("CloneAccountName"); clone != "" && clone != account+cloneSuffix {
		return invalid("ExtendedConfig")
	}
	x["CloneAccountName"] = account + cloneSuffix
	return nil
}

func (x extended) text(key string) string {
	text, _ := x[key].(string)
	return text
}

// with returns a copy that has other custom data, in JSON. Copies of x may be in answers under way.
func (x extended) with(custom string) (extended, error) {
	var pairs map[string]any
	if decodeExact(custom, &pairs) != nil || pairs == nil || len(pairs) > maxCustom {
		return nil, invalid("ExtendedConfig.CustomData")
	}
	next := maps.Clone(x)
	next["CustomData"] = pairs
	if utf8.RuneCountInString(next.String()) > maxExtended {
		return nil, invalid("ExtendedConfig.CustomData")
	}
	return next, nil
}

// decodeExact is json.Unmarshal, but numbers keep their digits.
func decodeExact(text string, v any) error {
	if !json.Valid([]byte(text)) {
		return errors.New("not JSON")
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	return dec.Decode(v)
}

// String is the configuration as answers have it: compact, keys sorted.
func (x extended) String() string { return compactJSON(x) }

// compactJSON is v without what Go escapes for the sake of HTML: passwords hold '&' and '<'.
func compactJSON(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // strings, maps and structs of strings always encode
	return strings.TrimSuffix(b.String(), "\n")
}
