package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// TestSchemaIsCurrent makes the schema of the types and their comments. With
// UPDATE_SCHEMA=1 it writes it.
func TestSchemaIsCurrent(t *testing.T) {
	g := generator{comments: fieldComments(t)}
	root := g.object(reflect.ValueOf(Default()))
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Declaration of kmsrun"
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_SCHEMA") != "" {
		if err := os.WriteFile("schema.json", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text.Bytes(), Schema()) {
		t.Error("schema.json is not that of the types: run UPDATE_SCHEMA=1 go test ./config -run TestSchemaIsCurrent")
	}
}

// fieldComments maps TYPE.FIELD to its comment.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			structure, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range structure.Fields.List {
				for _, name := range field.Names {
					comments[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(field.Doc.Text()+field.Comment.Text()), " ")
				}
			}
			return true
		})
	}
	return comments
}

type generator struct{ comments map[string]string }

var choice = regexp.MustCompile(`^[a-z][a-z0-9_-]*(?: \| [a-z][a-z0-9_-]*)+`)

// object is the schema of a struct; v holds its defaults.
func (g generator) object(v reflect.Value) map[string]any {
	properties := map[string]any{}
	for field, value := range v.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		property := g.of(value)
		comment := g.comments[v.Type().Name()+"."+field.Name]
		if comment != "" {
			property["description"] = comment
		}
		if options := choice.FindString(comment); options != "" && field.Type.Kind() == reflect.String && !strings.HasPrefix(comment, "none | auto |") {
			words := strings.Split(options, " | ")
			if strings.Contains(comment, "empty: ") {
				words = append([]string{""}, words...)
			}
			property["enum"] = append(toAny(words), nil)
			if slices.Contains(words, "true") { // which YAML reads as no string
				property["type"] = []any{"string", "boolean"}
				property["enum"] = append(toAny(words), true, false, nil)
			}
		}
		properties[name] = orNull(property)
	}
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

func toAny(words []string) []any {
	var list []any
	for _, word := range words {
		list = append(list, word)
	}
	return list
}

// orNull lets a key stand with nothing behind it, which leaves its default.
func orNull(property map[string]any) map[string]any {
	switch types := property["type"].(type) {
	case string:
		property["type"] = []any{types, "null"}
	case []any:
		property["type"] = append(slices.Clone(types), "null")
	}
	return property
}

func (g generator) of(v reflect.Value) map[string]any {
	texts := []any{"string", "number", "boolean"} // any scalar of YAML is a text
	switch value := v.Interface().(type) {
	case Text:
		return map[string]any{"type": texts}
	case time.Duration:
		return withDefault(map[string]any{"type": "string", "pattern": `^[-+]?([0-9]*(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$|^0$`}, value.String(), value != 0)
	}
	if v.Kind() != reflect.Map && reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()) {
		if v.Kind() == reflect.Struct {
			if object := g.object(v); len(object["properties"].(map[string]any)) > 0 { // a word, or a map
				object["type"] = []any{"object", "string", "integer"}
				return object
			}
		}
		return map[string]any{"type": []any{"string", "integer"}}
	}
	switch v.Kind() {
	case reflect.Struct:
		object := g.object(v)
		if short := shortField(addressable(v)); short.IsValid() {
			scalar := g.of(short)["type"].([]any)
			object["type"] = append([]any{"object"}, scalar...)
		}
		return object
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		return map[string]any{"type": "object", "additionalProperties": g.of(element)}
	case reflect.Slice:
		element := reflect.New(v.Type().Elem()).Elem()
		return map[string]any{"type": "array", "items": g.of(element)}
	case reflect.Bool:
		return withDefault(map[string]any{"type": "boolean"}, v.Bool(), v.Bool())
	case reflect.Int:
		return withDefault(map[string]any{"type": "integer"}, v.Int(), v.Int() != 0)
	case reflect.Float64:
		return withDefault(map[string]any{"type": "number"}, v.Float(), v.Float() != 0)
	case reflect.String:
		return withDefault(map[string]any{"type": "string"}, v.String(), v.String() != "")
	default:
		panic(fmt.Sprintf("no schema for %s", v.Type()))
	}
}

func addressable(v reflect.Value) reflect.Value {
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	return copied
}

func withDefault(property map[string]any, value any, set bool) map[string]any {
	if set {
		property["default"] = value
	}
	return property
}

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("kmsrun.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("kmsrun.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// asJSON reads YAML as a validator of JSON would see it.
func asJSON(text []byte) (any, error) {
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return nil, err
	}
	if value == nil {
		value = map[string]any{}
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// examples are all declarations in the repository, by where they stand.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	for _, pattern := range []string{"testdata/[^i]*.yaml", "../cmd/kmsrun/testdata/*.yaml", "../examples/*/kmsrun.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: got %q, %v, want some files", pattern, files, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found[file] = text
		}
	}
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range yamlBlock.FindAllSubmatch(text, -1) {
			var keys map[string]any
			if yaml.Unmarshal(block[1], &keys) != nil || !isDeclaration(keys) {
				continue
			}
			found[fmt.Sprintf("%s, block %d", page, i+1)] = block[1]
		}
	}
	return found
}

// isDeclaration tells a declaration from a seed file, a policy or a pod: it has a key
// that none of those has.
func isDeclaration(keys map[string]any) bool {
	for _, key := range []string{"version", "env", "env_from", "files", "auth", "on_change", "watch", "child"} {
		if _, ok := keys[key]; ok {
			return true
		}
	}
	return false
}

func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	compiled := compiledSchema(t)
	for where, text := range examples(t) {
		document, err := asJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if err := compiled.Validate(document); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		dir := t.TempDir()
		for _, name := range []string{"app.ini.tmpl", "good.tmpl"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(`{{ secret "prod/app" "host" }}`), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(dir, "kmsrun.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(Source{File: file, Environ: []string{"ALIBABA_CLOUD_REGION=cn-hangzhou"}}); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
}

// A schema that lets everything through is no use: what is wrong in its shape fails.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	compiled := compiledSchema(t)
	for _, name := range []string{
		"unknown-key", "item-key", "type-bool", "type-int", "type-float", "type-map", "type-scalar", "type-duration", "list", "not-a-map",
		"network", "disk", "on-change-env", "log-format", "item-format", "env-from", "env-null", "env-list", "regions-list", "many",
	} {
		text, err := os.ReadFile("testdata/invalid-" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		document, err := asJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if compiled.Validate(document) == nil {
			t.Errorf("invalid-%s.yaml: the schema takes it", name)
		}
	}
}
