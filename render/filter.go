package render

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// filter applies one of config.Filters to a selected value.
func filter(name string, value []byte) ([]byte, error) {
	switch name {
	case "":
		return value, nil
	case "urlencode":
		return urlencode(value), nil
	case "base64":
		return []byte(base64.StdEncoding.EncodeToString(value)), nil
	case "json":
		return jsonString(value)
	case "shell":
		return []byte("'" + insideQuotes.Replace(string(value)) + "'"), nil
	case "trim":
		return []byte(strings.TrimSpace(string(value))), nil
	default:
		return nil, fmt.Errorf("unknown filter %q", name)
	}
}

// insideQuotes is how a shell takes a single quote inside single quotes.
var insideQuotes = strings.NewReplacer("'", `'\''`)

// urlencode escapes all but RFC 3986's unreserved characters. net/url's QueryEscape
// writes a space as +, which userinfo and paths do not understand.
func urlencode(value []byte) []byte {
	var out []byte
	for _, c := range value {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out = append(out, c)
			continue
		}
		out = fmt.Appendf(out, "%%%02X", c)
	}
	return out
}

// jsonString is the value as a JSON string, quotes included.
func jsonString(value []byte) ([]byte, error) {
	if !utf8.Valid(value) {
		return nil, errors.New("filter json: the value is not UTF-8 text")
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(string(value))
	return []byte(strings.TrimSuffix(out.String(), "\n")), err
}
