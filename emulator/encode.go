package emulator

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// write sends the whole answer at once, so that no client sees half of it. The format is XML
// in any case, or else JSON.
func write(w http.ResponseWriter, status int, format string, reply any) {
	text, kind := toJSON(reply), "application/json"
	if isXML(format) {
		text, kind = toXML(reply), "text/xml" // of the types in use the one that official clients decode
	}
	w.Header().Set("Content-Type", kind+";charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone away is not our fault, and there is nobody left to tell
}

// format is what the answer is to be written in: the parameter Format or, without it, the media type of the header Accept
// with the greatest weight, of those that are known the first. The default is disputed; JSON is what the KMS page says.
func (r *request) format() string {
	if format := r.params["Format"]; format != "" {
		return format
	}
	best, weight := "", 0.0
	for part := range strings.SplitSeq(strings.Join(r.header.Values("Accept"), ","), ",") {
		kind, options, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		q, err := strconv.ParseFloat(cmp.Or(options["q"], "1"), 64)
		if err != nil || q <= weight {
			continue
		}
		switch kind {
		case "application/xml", "text/xml":
			best, weight = "XML", q
		case "application/json", "text/json", "*/*", "application/*":
			best, weight = "JSON", q
		}
	}
	return best
}

func isXML(format string) bool { return strings.EqualFold(format, "XML") }

// toJSON does not escape for HTML: values hold '&' and '<' as they were stored.
func toJSON(reply any) []byte {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(reply) // structs of strings and numbers always encode
	return bytes.TrimSuffix(body.Bytes(), []byte("\n"))
}

// toXML is the same answer as elements. The root is <KMS>, as on the page of CreateSecret (newer ones have
// <CreateSecretResponse>), or what the reply says itself.
func toXML(reply any) []byte {
	root := "KMS"
	if r, ok := reply.(interface{ xmlRoot() string }); ok {
		root = r.xmlRoot()
	}
	var body bytes.Buffer
	body.WriteString("<?xml version='1.0' encoding='UTF-8'?>")
	writeElement(&body, root, reflect.ValueOf(reply))
	return body.Bytes()
}

// writeElement writes v under its JSON name; a list is its element as often as needed.
func writeElement(b *bytes.Buffer, name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			writeElement(b, name, v.Index(i))
		}
		return
	case reflect.Pointer:
		if !v.IsNil() {
			writeElement(b, name, v.Elem())
		}
		return
	}
	b.WriteString("<" + name + ">")
	if v.Kind() == reflect.Struct {
		writeFields(b, v)
	} else {
		// Line ends are escaped and so come back as they are. For other control characters XML has no
		// spelling at all: they become U+FFFD.
		_ = xml.EscapeText(b, fmt.Append(nil, v.Interface()))
	}
	b.WriteString("</" + name + ">")
}

// writeFields follows the tags as encoding/json does: omitempty, and embedded structs in line.
func writeFields(b *bytes.Buffer, v reflect.Value) {
	for field, value := range v.Fields() {
		name, option, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			writeFields(b, value)
		case option != "omitempty" || !value.IsZero():
			writeElement(b, name, value)
		}
	}
}
