package emulator

import (
	"strings"
	"unicode/utf8"
)

const (
	maxName    = 192 // characters; the newer limit, older pages say 64
	maxID      = 64  // characters of a version id
	maxValue   = 30720
	typeText   = "text"
	typeBinary = "binary"
)

// checkName holds the rules for the name of a new secret. Names below acs/ belong to two of the managed types.
func checkName(kind, name string) error {
	prefix := ""
	switch kind {
	case kindECS:
		prefix = "acs/ecs/"
	case kindRAM:
		prefix = "acs/ram/user/"
	}
	rest, ok := strings.CutPrefix(name, prefix)
	if !validName(name) || !ok || rest == "" || prefix == "" && strings.HasPrefix(name, "acs/") {
		return invalid("SecretName")
	}
	return nil
}

// validName follows the newer alphabet; that one old page also lists Chinese characters is not followed.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && strings.IndexFunc(name, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("_/+=.@-", r)
	}) < 0
}

// validID holds for version ids and, as nothing is documented for them, for stage labels too.
func validID(id string) bool {
	return id != "" && utf8.ValidString(id) && utf8.RuneCountInString(id) <= maxID
}

// check holds the rules for a version to be stored. The size is that of the text as sent, and "binary" need
// not be base64: that is a convention which the server does not enforce.
func (v version) check() error {
	switch {
	case !validID(v.id):
		return invalid("VersionId")
	case v.data == "" || len(v.data) > maxValue || !utf8.ValidString(v.data):
		return invalid("SecretData")
	case v.dataType != typeText && v.dataType != typeBinary:
		return invalid("SecretDataType")
	}
	return nil
}
