package render

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/kmsrun/kmsrun/secret"
)

// masked stands for what was masked.
const masked = "***"

// shortestLine is the fewest bytes of one line of a longer value that are masked alone.
const shortestLine = 4

// Mask is a func that takes the values of these snapshots out of a text: whole, as
// lines, as strings and numbers inside JSON, and inside JSON in that, decoded from base64,
// and as each filter and format writes them. Truth values inside JSON tell nothing and stay.
func Mask(snapshots ...secret.Snapshot) func(text string) string {
	known := sync.OnceValue(func() map[string]bool { // most commands succeed, and nobody asks
		known := map[string]bool{}
		for _, snapshot := range snapshots {
			for _, id := range snapshot.IDs() {
				value, _ := snapshot.Get(id)
				addValue(known, value)
			}
		}
		return known
	})
	return func(text string) string { return mask(text, known()) }
}

func addValue(known map[string]bool, value secret.Value) {
	addMasked(known, value.Bytes())
	addMasked(known, plain(value))
}

// addInside adds what a text holds, if it is JSON; be it JSON in a string of JSON. (A
// number is all of itself, and a text that begins with one is none.)
func addInside(known map[string]bool, text []byte) {
	if text = bytes.TrimSpace(text); len(text) == 0 || !strings.ContainsRune(`{["`, rune(text[0])) {
		return
	}
	var document any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&document) == nil {
		addLeaves(known, document)
	}
}

func addLeaves(known map[string]bool, document any) {
	switch v := document.(type) {
	case string:
		addMasked(known, []byte(v))
	case json.Number:
		addSpellings(known, []byte(v))
	case []any:
		for _, element := range v {
			addLeaves(known, element)
		}
	case map[string]any:
		for _, member := range v {
			addLeaves(known, member)
		}
	}
}

func addMasked(known map[string]bool, plain []byte) {
	addSpellings(known, plain)
	addInside(known, plain)
	if decoded, err := decodeBase64(secret.Ref{}, plain); err == nil && len(decoded) >= shortestLine {
		addSpellings(known, decoded)
		addInside(known, decoded)
	}
}

func addSpellings(known map[string]bool, plain []byte) {
	text := string(plain)
	known[strings.TrimSpace(text)] = true
	for _, name := range []string{"urlencode", "base64", "json"} {
		if written, err := filter(name, plain); err == nil {
			known[strings.Trim(string(written), `"`)] = true
		}
	}
	known[insideQuotes.Replace(text)] = true // of the filter shell
	known[insideDoubleQuotes.Replace(text)] = true
	known[escapeProperty(text, false)] = true
	if written, err := yaml.Marshal(yamlString(text)); err == nil && utf8.ValidString(text) {
		known[strings.Trim(strings.TrimSpace(string(written)), `"`)] = true
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(line) >= shortestLine {
			known[line] = true
		}
	}
}

// mask replaces every stretch that known texts cover, be it that they overlap.
func mask(text string, known map[string]bool) string {
	covered := make([]bool, len(text))
	for plain := range known {
		if plain == "" {
			continue
		}
		for at := 0; ; at++ {
			next := strings.Index(text[at:], plain)
			if next < 0 {
				break
			}
			at += next
			for i := range len(plain) {
				covered[at+i] = true
			}
		}
	}
	var out strings.Builder
	for i := range len(text) {
		switch {
		case !covered[i]:
			out.WriteByte(text[i])
		case i == 0 || !covered[i-1]:
			out.WriteString(masked)
		}
	}
	return out.String()
}
