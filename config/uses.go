package config

import (
	"maps"
	"slices"

	"github.com/kmsrun/kmsrun/secret"
)

// Uses maps each secret that must be fetched to the variables and files that want
// it, as "env NAME" and "file NAME", in a stable order.
func (c Config) Uses() map[secret.ID][]string {
	uses := map[secret.ID][]string{}
	add := func(user string, t Text) {
		for _, ref := range t.Refs() {
			if !slices.Contains(uses[ref.ID], user) {
				uses[ref.ID] = append(uses[ref.ID], user)
			}
		}
	}
	for _, name := range sortedKeys(c.Env) {
		add("env "+name, c.Env[name])
	}
	for _, name := range sortedKeys(c.Files.Items) {
		add("file "+name, c.Files.Items[name].From)
	}
	return uses
}

// IDs lists what must be fetched, once each, in a stable order.
func (c Config) IDs() []secret.ID {
	return secret.SortIDs(slices.Collect(maps.Keys(c.Uses())))
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
