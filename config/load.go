package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kmsrun/kmsrun/secret"
)

// Source is everything a declaration is made of, weakest first: defaults, the
// file, the overrides in their order, and inherited references.
type Source struct {
	File      string     // path; empty for none
	Overrides []Override // environment twins, then flags
	Environ   []string   // the inherited environment, NAME=value
	Stage     string     // of references that say none; empty: ACSCurrent
	Terminal  bool       // stdin is a terminal: on_change.env defaults to none
	Sidecar   bool       // there is no program: what is for one is a fault

	// ReadFile reads the declaration; nil is os.ReadFile.
	ReadFile func(path string) ([]byte, error)
}

// Override sets one key from outside the file.
type Override struct {
	Key   []string // path of the key, such as kms, region
	Value string   // of a list, one entry per line
	From  string   // the flag or variable, for faults
}

// Load reads, decodes and validates. The error is a *multierror.Error of *Fault
// with every fault there is, ordered by line.
func Load(src Source) (Config, error) {
	c := Default()
	if src.Terminal {
		c.OnChange.Env = "none"
	}
	d := newDecoder(src)
	if src.File != "" {
		d.decodeFile(src, &c)
	}
	d.override(src, &c)
	if c.Files.Owner == (Owner{}) { // else the program could not read what it is given
		c.Files.Owner = Owner{User: c.Child.User, Group: c.Child.Group}
	}
	for _, name := range sortedKeys(c.Files.Items) {
		item := c.Files.Items[name]
		d.readTemplate(name, &item)
		c.Files.Items[name] = item
	}
	if c.KMS.Region == "" {
		c.KMS.Region = firstVariable(src.Environ, "ALIBABA_CLOUD_REGION_ID", "ALIBABA_CLOUD_REGION", "ALICLOUD_REGION_ID", "ALICLOUD_REGION")
	}
	d.fillCredentials(&c, src.Environ)
	if c.ScanEnv && !src.Sidecar {
		d.scan(&c, src.Environ)
	}
	d.instance = !strings.EqualFold(firstVariable(src.Environ, "ALIBABA_CLOUD_ECS_METADATA_DISABLED", "ALICLOUD_ECS_METADATA_DISABLED"), "true")
	d.validate(&c)
	if src.Sidecar {
		d.validateSidecar(&c)
	}
	return c, d.faults.err()
}

func newDecoder(src Source) *decoder {
	return &decoder{where: map[string]Fault{}, faulted: map[string]bool{}, stage: cmp.Or(src.Stage, secret.StageCurrent)}
}

func (d *decoder) override(src Source, c *Config) {
	for _, o := range src.Overrides {
		d.origin = o.From
		d.forget(c, o.Key)
		d.decode(nest(o.Key, o.node()), reflect.ValueOf(c).Elem(), "")
	}
}

// forget makes way for an override of what the declaration says in another way: a file
// that it makes of a template, and an action.
func (d *decoder) forget(c *Config, key []string) {
	switch path := strings.Join(key, "."); {
	case path == fileAction:
		c.OnChange.Files = FileAction{}
		maps.DeleteFunc(d.where, func(key string, _ Fault) bool { return strings.HasPrefix(key, path) })
	case len(key) == 3 && key[0] == "files" && key[1] == "items":
		if item, ok := c.Files.Items[key[2]]; ok && item.Template+item.TemplateText != "" {
			item.Template, item.TemplateText = "", ""
			c.Files.Items[key[2]] = item
		}
	}
}

// fileAction is the key whose override may be a map, in YAML's braces.
const fileAction = "on_change.files"

// node is what the override says.
func (o Override) node() *yaml.Node {
	if strings.Join(o.Key, ".") == fileAction && strings.HasPrefix(strings.TrimSpace(o.Value), "{") {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(o.Value), &document); err == nil && len(document.Content) == 1 {
			return document.Content[0]
		}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: o.Value}
}

func (d *decoder) decodeFile(src Source, c *Config) {
	path, readFile := src.File, src.ReadFile
	if readFile == nil {
		readFile = os.ReadFile
	}
	d.file = path
	text, err := readFile(path)
	if err != nil {
		pathErr := new(os.PathError)
		if errors.As(err, &pathErr) {
			err = pathErr.Err
		}
		d.faults = append(d.faults, &Fault{Key: path, Text: "reading the declaration: " + err.Error()})
		return
	}
	d.decodeText(text, path, c)
}

// decodeText decodes the text of a file over c.
func (d *decoder) decodeText(text []byte, path string, c *Config) {
	documents := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	switch err := documents.Decode(&document); {
	case errors.Is(err, io.EOF):
		return // an empty declaration is all defaults
	case err != nil:
		d.faults = append(d.faults, syntaxFault(path, err))
		return
	}
	if err := documents.Decode(&second); err == nil {
		d.faults = append(d.faults, &Fault{File: path, Line: second.Line, Text: "want one YAML document, got another"})
	} else if !errors.Is(err, io.EOF) {
		d.faults = append(d.faults, syntaxFault(path, err))
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode && root.Tag != "!!null" { // not quoted: it may be the secret itself
		d.faults = append(d.faults, &Fault{File: path, Line: root.Line, Text: "want a map"})
		return
	}
	d.decode(root, reflect.ValueOf(c).Elem(), "")
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// quotedName matches what the parser quotes of the file, such as the name of an
// unknown anchor. It may be a value that lacks its quotes.
var quotedName = regexp.MustCompile(`'[^' ]{2,}'`)

// syntaxFault makes a fault of what the YAML parser says.
func syntaxFault(path string, err error) *Fault {
	f := &Fault{File: path, Line: 1, Text: "not YAML: " + err.Error()}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			f.Line = n
		}
		f.Text = "not YAML: " + quotedName.ReplaceAllString(m[2], "'...'")
	}
	return f
}

// nest makes the YAML of one override: {a: {b: node}} for the key a, b.
func nest(key []string, node *yaml.Node) *yaml.Node {
	for _, name := range slices.Backward(key) {
		node = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
			{Kind: yaml.ScalarNode, Tag: "!!str", Value: name}, node,
		}}
	}
	return node
}

// scan adds inherited variables that are references and that nothing declares.
func (d *decoder) scan(c *Config, environ []string) {
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if _, declared := c.Env[name]; declared || !secret.IsReference(value) || strings.HasPrefix(name, TwinPrefix) {
			continue
		}
		where := Fault{Key: "environment variable " + name}
		text, err := parseText(value, d.stage)
		switch {
		case errors.Is(err, secret.ErrName):
			where.Text = fmt.Sprintf("left as it is: %s", err)
			c.Warnings = append(c.Warnings, where)
		case err != nil:
			where.Text = err.Error()
			d.faults = append(d.faults, &where)
		default:
			d.where["env."+name] = where
			c.Env[name] = text
			if c.Scanned == nil {
				c.Scanned = map[string]bool{}
			}
			c.Scanned[name] = true
		}
	}
}

// TwinPrefix begins the name of every flag's environment twin.
const TwinPrefix = "KMSRUN_"

func firstVariable(environ []string, names ...string) string {
	for _, name := range names {
		for _, variable := range environ {
			if value, ok := strings.CutPrefix(variable, name+"="); ok && value != "" {
				return value
			}
		}
	}
	return ""
}
