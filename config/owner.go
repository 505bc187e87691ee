package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Owner says whom a file belongs to. An empty part stays as the system sets it: ours.
// A part is a name, or an id in digits; names are looked up when files are written.
type Owner struct {
	User, Group string
}

// String is the owner as it was declared.
func (o Owner) String() string {
	if o.Group == "" {
		return o.User
	}
	return o.User + ":" + o.Group
}

// UnmarshalText reads user, user:group or :group.
func (o *Owner) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*o = Owner{}
		return nil
	}
	user, group, both := strings.Cut(string(text), ":")
	if both && group == "" || strings.ContainsAny(group, ":") || strings.ContainsAny(string(text), " \t\n/") {
		return fmt.Errorf("want user, user:group or :group, by name or id, got %q", text)
	}
	for _, part := range []string{user, group} {
		if err := checkID(part); err != nil {
			return err
		}
	}
	*o = Owner{User: user, Group: group}
	return nil
}

// checkID refuses numbers that are no id. The highest stands for "leave as it is"
// in chown.
func checkID(part string) error {
	if strings.Trim(part, "0123456789") != "" || part == "" {
		return nil // a name
	}
	if n, err := strconv.ParseUint(part, 10, 32); err != nil || n == 1<<32-1 {
		return errors.New("want a user or group id below 4294967295, got " + part)
	}
	return nil
}

// OwnerOf is whom an item belongs to: its own owner, as a whole, or that of all files.
func (f Files) OwnerOf(item Item) Owner {
	if item.Owner != (Owner{}) {
		return item.Owner
	}
	return f.Owner
}

// DirMode is the permission bits of the directories of files; 0 is auto.
type DirMode Mode

// UnmarshalText reads auto, or octal bits that let the owner in and nobody else
// write: who may write there could put a file of his own in the place of a secret.
func (m *DirMode) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*m = 0
		return nil
	}
	var bits Mode
	if bits.UnmarshalText(text) != nil || bits&0o700 != 0o700 || bits&0o022 != 0 {
		return fmt.Errorf("want auto, or octal bits such as \"0750\" with all for the owner and no writing by others, got %q", text)
	}
	*m = DirMode(bits)
	return nil
}
