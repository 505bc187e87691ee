package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"text/template"
	tree "text/template/parse"

	"github.com/go-task/slim-sprig/v3"

	"github.com/kmsrun/kmsrun/secret"
)

// Template is the text of a template, and what it reads.
type Template struct {
	Path  string       // of its file; empty for one in the declaration
	Name  string       // for faults
	Text  string       // Go text/template
	Stage string       // of references that say none
	Refs  []secret.Ref // all that executing it can ask for
}

// notOurs are functions of the library that are not repeatable, though it lists them
// so, or that are no use here.
var notOurs = []string{
	"hello", "randInt", "ago", "duration", "durationRound", "toDate", "mustToDate", "mustDateModify", "must_date_modify", "unixEpoch",
}

// templateFuncs are what templates may call besides the functions of text/template.
func templateFuncs() template.FuncMap {
	funcs := sprig.HermeticTxtFuncMap()
	for _, name := range notOurs {
		delete(funcs, name)
	}
	// The library's come in the order of a map: another rendering each time.
	funcs["keys"] = sortedKeysOf
	funcs["values"] = func(dict map[string]any) []any {
		var list []any
		for _, key := range sortedKeys(dict) {
			list = append(list, dict[key])
		}
		return list
	}
	funcs["secret"] = func(...any) (string, error) { return "", errors.New("not rendering") }
	return funcs
}

func sortedKeysOf(dicts ...map[string]any) []string {
	var keys []string
	for _, dict := range dicts {
		keys = append(keys, sortedKeys(dict)...)
	}
	return keys
}

// TemplateFunctions lists the names that templates may call besides those of Go's
// text/template.
func TemplateFunctions() []string { return slices.Sorted(maps.Keys(templateFuncs())) }

// Parsed is the template, ready for a function "secret" that answers.
func (t Template) Parsed() (*template.Template, error) {
	return template.New(t.Name).Option("missingkey=error").Funcs(templateFuncs()).Parse(t.Text)
}

// collect parses a template and lists what it asks for. That is possible because the
// arguments of secret must be literals.
func (t *Template) collect() error {
	parsed, err := t.Parsed()
	if err != nil {
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "template: "))
	}
	all := parsed.Templates()
	slices.SortFunc(all, func(a, b *template.Template) int { return strings.Compare(a.Name(), b.Name()) })
	for _, one := range all {
		if one.Tree != nil {
			c := collector{template: t, in: one.Tree}
			c.walk(reflect.ValueOf(one.Root))
			if c.err != nil {
				return c.err
			}
		}
	}
	return nil
}

type collector struct {
	template *Template
	in       *tree.Tree
	err      error
}

var nodeType = reflect.TypeFor[tree.Node]()

// walk visits every node below a value, whatever its kind: one that a newer Go adds is
// not overlooked.
func (c *collector) walk(v reflect.Value) {
	for v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	switch {
	case c.err != nil:
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			c.walk(v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for field, value := range v.Fields() {
			if field.IsExported() {
				c.walk(value)
			}
		}
	case v.Kind() == reflect.Pointer && !v.IsNil() && v.Type().Implements(nodeType):
		switch node := v.Interface().(type) {
		case *tree.PipeNode:
			c.pipe(node)
		case *tree.IdentifierNode:
			if node.Ident == "secret" {
				c.fail(node, errNotLiteral)
			}
		default:
			c.walk(v.Elem())
		}
	}
}

var errNotLiteral = errors.New(`want secret "NAME[?options]" "SELECTOR", in literals: what is fetched is found before anything is executed`)

func (c *collector) pipe(pipe *tree.PipeNode) {
	for i, command := range pipe.Cmds {
		name, called := command.Args[0].(*tree.IdentifierNode)
		if !called || name.Ident != "secret" {
			c.walk(reflect.ValueOf(command.Args))
			continue
		}
		var literals []string
		for _, argument := range command.Args[1:] {
			if literal, ok := argument.(*tree.StringNode); ok {
				literals = append(literals, literal.Text)
			}
		}
		if i > 0 || len(literals) != len(command.Args)-1 || len(literals) < 1 || len(literals) > 2 {
			c.fail(command, errNotLiteral)
			return
		}
		ref, err := c.template.Ref(literals...)
		if err != nil {
			c.fail(command, err)
			return
		}
		if !slices.Contains(c.template.Refs, ref) {
			c.template.Refs = append(c.template.Refs, ref)
		}
	}
}

func (c *collector) fail(node tree.Node, err error) {
	if c.err == nil {
		where, _ := c.in.ErrorContext(node)
		c.err = fmt.Errorf("%s: %w", where, err)
	}
}

// Ref is the reference that the arguments of secret make.
func (t Template) Ref(arguments ...string) (secret.Ref, error) {
	text := arguments[0]
	if !secret.IsReference(text) {
		text = "kms://" + text
	}
	if len(arguments) > 1 {
		if strings.Contains(text, "#") {
			return secret.Ref{}, errors.New("want one selector, behind # or as the second argument")
		}
		text += "#" + arguments[1]
	}
	ref, err := parseRef(text, t.Stage)
	switch {
	case err != nil:
		if syntax, ok := errors.AsType[*secret.SyntaxError](err); ok {
			err = fmt.Errorf("%q: %w", text[:min(len(text), syntax.Offset+1)], syntax.Err)
		}
		return ref, err
	case ref.Selector.Kind == secret.All:
		return ref, errors.New("selector * is for env_from and for files with a format; take the whole secret and fromJson")
	case ref.As != secret.AsEnv:
		return ref, fmt.Errorf("as=%s is for variables", ref.As)
	}
	return ref, nil
}

// readTemplate makes the template of an item, if it has one.
func (d *decoder) readTemplate(name string, item *Item) {
	key := "files.items." + name
	t := Template{Name: name, Text: item.TemplateText, Stage: d.stage}
	field := ".template_text"
	if item.Template != "" {
		field = ".template"
		t.Path = item.Template
		if !filepath.IsAbs(t.Path) && d.file != "" {
			t.Path = filepath.Join(filepath.Dir(d.file), t.Path)
		}
		t.Name = t.Path
		text, err := os.ReadFile(t.Path)
		if err != nil {
			if pathErr, ok := errors.AsType[*os.PathError](err); ok {
				err = pathErr.Err
			}
			d.fault(key+field, "reading the template %q: %s", t.Path, err)
		}
		t.Text = string(text)
	}
	if t.Text == "" {
		return
	}
	if err := t.collect(); err != nil {
		d.fault(key+field, "%s", err)
	}
	item.Source = t
}

// TemplateFiles lists the files that the declaration's templates are in, sorted.
func (c Config) TemplateFiles() []string {
	paths := map[string]bool{}
	for _, item := range c.Files.Items {
		if item.Source.Path != "" {
			paths[item.Source.Path] = true
		}
	}
	return sortedKeys(paths)
}
