package config

import (
	"cmp"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/kmsrun/kmsrun/secret"
)

// VariableFiles is the directory, below that of the files, of the files of variables
// with as=file.
const VariableFiles = ".env"

// place is where a text stands, which decides what may be in it.
type place int

const (
	inVariable place = iota // one value; as= is for it
	inFile                  // one value
	inMany                  // where all keys of a secret are meant
)

// formats are the values of an item's format that take an object apart.
var formats = []string{"json", "yaml", "dotenv", "docker-env", "properties", "profile"}

// validateText checks the references in one text.
func (d *decoder) validateText(c *Config, key string, t Text, where place) {
	for _, p := range t.Parts {
		if p.FilesDir && !c.NeedsDir() {
			d.fault(key, "${files_dir} needs a file: files.items is empty")
		}
		if p.Ref.ID.Name != "" {
			d.validateRef(c, key, p.Ref)
		}
		if p.Ref.Selector.Kind == secret.All && where != inMany {
			d.fault(key, "selector * gives many values: it is for env_from, and for files with a format of %s", strings.Join(formats, ", "))
		}
		_, whole := t.Whole()
		switch as := p.Ref.As; {
		case as == secret.AsEnv:
		case where != inVariable || !whole:
			d.fault(key, "as=%s is for a variable that is one reference and nothing else", as)
		}
	}
}

// validateRef checks what holds for a reference wherever it stands.
func (d *decoder) validateRef(c *Config, key string, ref secret.Ref) {
	id := ref.ID
	if _, ok := c.Auth[id.Auth]; !ok && id.Auth != "" {
		d.fault(key, "no auth profile %q: declare auth.%s, or want one of %s", id.Auth, id.Auth, strings.Join(sortedKeys(c.Auth), ", "))
	}
	if id.Account == "" && id.Region != "" && id.Region != c.KMS.Region && c.KMS.Endpoint != "" {
		d.warn(c, key, "%s goes to kms.endpoint, which may be in another region than %s", id, id.Region)
	}
	if id.Pinned() {
		d.warn(c, key, "%s is pinned to a version: it never changes, managed secrets ignore it, and generic secrets keep only 10 versions", id)
	}
	d.validateManaged(key, ref)
}

// managed are the keys of the secrets whose type their name tells (GetSecretValue's
// SecretData by type; CreateSecret reserves the names).
var managed = []struct {
	prefix, what string
	keys         []string
}{
	{"acs/ram/user/", "a RAM user's access key", []string{"AccessKeyId", "AccessKeySecret", "GenerateTimestamp"}},
	{"acs/ecs/", "the login of an ECS instance", []string{"UserName", "Password", "PublicKey", "PrivateKey"}},
}

// validateManaged checks what is known of a managed secret before it is read.
func (d *decoder) validateManaged(key string, ref secret.Ref) {
	for _, m := range managed {
		if !strings.HasPrefix(ref.ID.Name, m.prefix) {
			continue
		}
		if path := ref.Selector.Path(); len(path) > 0 && !slices.Contains(m.keys, path[0]) {
			d.fault(key, "%s is %s, with no key %q; want one of %s", ref.ID, m.what, path[0], strings.Join(m.keys, ", "))
		}
		if stage := ref.ID.Stage; stage != "" && stage != secret.StageCurrent && stage != "ACSPrevious" {
			d.fault(key, "%s is managed: want stage ACSCurrent or ACSPrevious, it has no other", ref.ID)
		}
	}
}

func (d *decoder) validateEnvFrom(c *Config) {
	for i, from := range c.EnvFrom {
		key := "env_from." + strconv.Itoa(i)
		if len(from.From.Parts) == 0 && !d.faulted[key+".from"] && !d.faulted[key] {
			d.fault(key, "want from: a reference such as kms://NAME#*")
		} else if _, whole := from.From.Whole(); !whole && len(from.From.Parts) > 0 {
			d.fault(key+".from", "want one reference and nothing else, such as kms://NAME#*")
		}
		d.validateText(c, key+".from", from.From, inMany)
		if from.Prefix != "" && !variableName.MatchString(from.Prefix) {
			d.fault(key+".prefix", "want letters, digits and _, not starting with a digit, got %q", from.Prefix)
		}
		d.oneOf(key+".case", cmp.Or(from.Case, "keep"), "keep", "upper", "snake")
		d.oneOf(key+".collide", cmp.Or(from.Collide, "error"), "error", "keep", "replace")
		d.validateGlobs(key+".include", from.Include)
		d.validateGlobs(key+".exclude", from.Exclude)
	}
}

func (d *decoder) validateGlobs(key string, globs []string) {
	for _, glob := range globs {
		if _, err := path.Match(glob, ""); err != nil {
			d.fault(key, "want a glob with *, ? and [a-z], got %q", glob)
		}
	}
}

func (d *decoder) validateItem(c *Config, key string, item Item) {
	unreadable := d.faulted[key] || d.faulted[key+".from"]
	given := 0
	for _, ways := range []bool{len(item.From.Parts) > 0, item.Template != "", item.TemplateText != ""} {
		if ways {
			given++
		}
	}
	switch {
	case given == 0 && !unreadable:
		d.fault(key, "want from: a reference or text, template: a file, or template_text")
	case given > 1:
		d.fault(key, "want one of from, template and template_text")
	}
	many := slices.Contains(formats, item.Format)
	if item.Format != "" && item.Format != "raw" && !many {
		d.fault(key+".format", "want raw, %s, got %q", strings.Join(formats, ", "), item.Format)
	}
	where := inFile
	if many {
		where = inMany
	}
	d.validateText(c, key, item.From, where)
	for _, ref := range item.Source.Refs {
		d.validateRef(c, key, ref)
	}
	ref, whole := item.From.Whole()
	if many && !whole && given == 1 && !unreadable {
		d.fault(key+".format", "format %s wants from: one reference and nothing else", item.Format)
	}
	if item.Format == "profile" && whole && strings.HasPrefix(ref.ID.Name, "acs/ecs/") {
		d.fault(key+".format", "format profile is for the access key of a RAM user, acs/ram/user/NAME")
	}
	d.oneOf(key+".decode", cmp.Or(item.Decode, "auto"), "auto", "none", "base64")
	if item.Decode != "" && item.Decode != "auto" && (many || !whole) && !unreadable {
		d.fault(key+".decode", "decode: %s wants from: one reference and nothing else, and format: raw", item.Decode)
	}
}
