package config

import (
	"reflect"
	"strings"
)

// Reloaded is what a running kmsrun can go over to from c: next, with c's values for
// the keys that need a restart. It lists those of them that differ.
func (c Config) Reloaded(next Config) (Config, []string) {
	if next.Files.Owner == (Owner{User: next.Child.User, Group: next.Child.Group}) {
		next.Files.Owner = Owner{User: c.Child.User, Group: c.Child.Group} // it follows the program that runs
	}
	var differ []string
	for _, fixed := range []struct {
		key       string
		old, next any
	}{
		{"kms", &c.KMS, &next.KMS},
		{"auth", &c.Auth, &next.Auth},
		{"files.dir", &c.Files.Dir, &next.Files.Dir},
		{"files.disk", &c.Files.Disk, &next.Files.Disk},
		{"files.dir_mode", &c.Files.DirMode, &next.Files.DirMode},
		{"child.user", &c.Child.User, &next.Child.User},
		{"child.group", &c.Child.Group, &next.Child.Group},
		{"child.chdir", &c.Child.Chdir, &next.Child.Chdir},
		{"child.sockets", &c.Child.Sockets, &next.Child.Sockets},
		{"sealed", &c.Sealed, &next.Sealed},
		{"http", &c.HTTP, &next.HTTP},
		{"log", &c.Log, &next.Log},
	} {
		old, next := reflect.ValueOf(fixed.old).Elem(), reflect.ValueOf(fixed.next).Elem()
		differ = append(differ, differing(fixed.key, old, next)...)
		next.Set(old)
	}
	return next, differ
}

// differing names what differs: the keys of a struct, or the key itself.
func differing(key string, a, b reflect.Value) []string {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return nil
	}
	if a.Kind() != reflect.Struct {
		return []string{key}
	}
	var names []string
	for field, value := range a.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		names = append(names, differing(key+"."+name, value, b.FieldByIndex(field.Index))...)
	}
	return names
}

// Same tells whether two declarations ask for the same, whatever lines they say it in.
func (c Config) Same(other Config) bool {
	c.Warnings, other.Warnings = nil, nil
	return reflect.DeepEqual(c, other)
}
