package config

import (
	"maps"
	"slices"

	"github.com/kmsrun/kmsrun/secret"
)

// Uses maps each secret that must be fetched to what wants it, as "env NAME",
// "env_from SECRET" and "file NAME", in a stable order.
func (c Config) Uses() map[secret.ID][]string {
	uses := map[secret.ID][]string{}
	c.eachRef(func(user string, ref secret.Ref) {
		if !slices.Contains(uses[ref.ID], user) {
			uses[ref.ID] = append(uses[ref.ID], user)
		}
	})
	return uses
}

func (c Config) eachRef(do func(user string, ref secret.Ref)) {
	add := func(user string, refs []secret.Ref) {
		for _, ref := range refs {
			do(user, ref)
		}
	}
	for _, name := range sortedKeys(c.Env) {
		add("env "+name, c.Env[name].Refs())
	}
	for _, from := range c.EnvFrom {
		add("env_from "+from.Name(), from.From.Refs())
	}
	for _, name := range sortedKeys(c.Files.Items) {
		item := c.Files.Items[name]
		add("file "+name, item.From.Refs())
		add("file "+name, item.Source.Refs)
	}
}

// Name is what messages call an entry of env_from.
func (f EnvFrom) Name() string {
	ref, _ := f.From.Whole()
	return ref.ID.String()
}

// IDs lists what must be fetched, once each, in a stable order.
func (c Config) IDs() []secret.ID {
	return secret.SortIDs(slices.Collect(maps.Keys(c.Uses())))
}

// Dispensable tells of a secret that everything can do without: each reference to it
// is optional, or has a default.
func (c Config) Dispensable(id secret.ID) bool {
	dispensable := true
	c.eachRef(func(_ string, ref secret.Ref) {
		if ref.ID == id && !ref.Optional && !ref.HasDefault {
			dispensable = false
		}
	})
	return dispensable
}

// NeedsDir tells whether anything is to lie in the directory of files.
func (c Config) NeedsDir() bool {
	if len(c.Files.Items) > 0 {
		return true
	}
	for _, text := range c.Env {
		if ref, _ := text.Whole(); ref.As == secret.AsFile {
			return true
		}
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}

// FilesOnly is the declaration less what only a program could be given: variables,
// but those that hold the path of a file.
func (c Config) FilesOnly() Config {
	env := map[string]Text{}
	for name, text := range c.Env {
		if ref, _ := text.Whole(); ref.As == secret.AsFile {
			env[name] = text
		}
	}
	c.Env, c.EnvFrom = env, nil
	return c
}
