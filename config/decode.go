package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder decodes YAML nodes over a Config that already holds its defaults. It is
// strict (unknown and doubled keys are faults), goes on after a fault, and
// remembers where each key was set, for the validation that follows.
type decoder struct {
	faults  faults
	faulted map[string]bool  // dotted keys with a fault
	where   map[string]Fault // by dotted key; Text is empty
	file    string           // being decoded
	// instance is whether the metadata of an ECS instance may be asked for the region.
	instance bool
	stage    string // of references that say none
	origin   string // of the override being decoded: a flag or a variable
}

// fault adds what is wrong with a key.
func (d *decoder) fault(key, format string, args ...any) {
	d.faulted[key] = true
	f := d.whereIs(key)
	f.Text = fmt.Sprintf(format, args...)
	d.faults = append(d.faults, &f)
}

// whereIs is the place of a key, or of the nearest key around it that was set.
func (d *decoder) whereIs(key string) Fault {
	for k := key; ; {
		if f, ok := d.where[k]; ok {
			if f.File != "" {
				f.Key = key
			}
			return f
		}
		if k = k[:max(strings.LastIndexByte(k, '.'), 0)]; k == "" {
			return Fault{Key: key}
		}
	}
}

// mark remembers where a key was set. An override sets one key, and not the maps
// around it, unless it says a map: what is wrong beside it is not the override's fault.
func (d *decoder) mark(key string, name, value *yaml.Node) {
	switch {
	case d.origin == "":
		d.where[key] = Fault{File: d.file, Line: name.Line, Key: key}
	case value.Kind == yaml.ScalarNode, value.Style == yaml.FlowStyle:
		d.where[key] = Fault{Key: d.origin}
	}
}

func (d *decoder) decode(node *yaml.Node, target reflect.Value, key string) {
	if node.Tag == "!!null" && d.origin == "" {
		return // "key:" with nothing behind it leaves the default
	}
	scalar := node.Kind == yaml.ScalarNode
	switch kind := target.Kind(); {
	case kind == reflect.Struct && !scalar && len(fieldsOf(target)) > 0:
		d.decodeStruct(node, target, key)
	case kind == reflect.Struct && scalar && shortField(target).IsValid():
		d.decode(node, shortField(target), key)
	case kind == reflect.Map:
		d.decodeMap(node, target, key)
	case kind == reflect.Slice && !scalar:
		d.decodeList(node, target, key)
	case kind == reflect.Slice && d.origin != "":
		d.decodeList(entries(node.Value), target, key)
	case !scalar:
		d.fault(key, "want a single value")
	default:
		d.decodeScalar(node.Value, target.Addr().Interface(), key)
	}
}

func (d *decoder) decodeScalar(value string, target any, key string) {
	var err error
	if text, ok := target.(*Text); ok {
		err = text.parse(value, d.stage)
	} else {
		err = parseScalar(target, value)
	}
	if err != nil {
		d.fault(key, "%s", err)
	}
}

func (d *decoder) decodeStruct(node *yaml.Node, target reflect.Value, key string) {
	fields := fieldsOf(target)
	d.eachPair(node, key, func(name, path string, value *yaml.Node) {
		if field, ok := fields[name]; ok {
			d.decode(value, field, path)
			return
		}
		known := make([]string, 0, len(fields))
		for name := range fields {
			known = append(known, name)
		}
		slices.Sort(known)
		d.fault(path, "unknown key; known here: %s", strings.Join(known, ", "))
	})
}

func (d *decoder) decodeMap(node *yaml.Node, target reflect.Value, key string) {
	d.eachPair(node, key, func(name, path string, value *yaml.Node) {
		if value.Tag == "!!null" && d.origin == "" {
			d.fault(path, `want a value; write "" for an empty one`)
			return
		}
		element := reflect.New(target.Type().Elem()).Elem()
		if old := target.MapIndex(reflect.ValueOf(name)); old.IsValid() {
			element.Set(old)
		}
		d.decode(value, element, path)
		target.SetMapIndex(reflect.ValueOf(name), element)
	})
}

// decodeList replaces the list as a whole.
func (d *decoder) decodeList(node *yaml.Node, target reflect.Value, key string) {
	if node.Kind != yaml.SequenceNode {
		d.fault(key, "want a list")
		return
	}
	list := reflect.MakeSlice(target.Type(), len(node.Content), len(node.Content))
	for i, element := range node.Content {
		for element.Kind == yaml.AliasNode {
			element = element.Alias
		}
		path := key
		if list.Type().Elem().Kind() == reflect.Struct {
			path = fmt.Sprintf("%s.%d", key, i)
			d.mark(path, element, element)
		}
		d.decode(element, list.Index(i), path)
	}
	target.Set(list)
}

// entries is the list that an override's text says, one entry per line.
func entries(text string) *yaml.Node {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	for line := range strings.Lines(text) {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: strings.TrimSpace(line)})
	}
	return list
}

// eachPair calls do for every key of a mapping, once.
func (d *decoder) eachPair(node *yaml.Node, key string, do func(name, path string, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		d.fault(key, "want a map")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		k, v := node.Content[i], node.Content[i+1]
		for v.Kind == yaml.AliasNode {
			v = v.Alias
		}
		path := strings.TrimPrefix(key+"."+k.Value, ".")
		first := d.where[path]
		d.mark(path, k, v)
		if k.Tag == "!!merge" {
			d.fault(path, "merge keys are not supported; write the keys out")
			continue
		}
		if line, ok := seen[k.Value]; ok {
			d.fault(path, "given twice; first in line %d", line)
			d.where[path] = first // whose value counts
			continue
		}
		seen[k.Value] = k.Line
		do(k.Value, path, v)
	}
}

// fieldsOf maps the YAML names of a struct's fields to the fields.
func fieldsOf(target reflect.Value) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	for field, value := range target.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = value
		}
	}
	return fields
}

// shortField is the field that a scalar in the struct's place stands for, if any.
func shortField(target reflect.Value) reflect.Value {
	for field, value := range target.Fields() {
		if _, options, _ := strings.Cut(field.Tag.Get("yaml"), ","); options == "short" {
			return value
		}
	}
	return reflect.Value{}
}
