// Package jmes takes a part of a JSON document by a JMESPath expression, with two
// promises that the language leaves open: numbers keep their JSON text, and what has
// no order in JSON (the members of an object) comes out in the order of its keys, so
// that the same secret renders to the same bytes.
package jmes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/jmespath-community/go-jmespath/pkg/functions"
	"github.com/jmespath-community/go-jmespath/pkg/interpreter"
	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// Fault is an expression that is not JMESPath.
type Fault struct {
	Offset int // in bytes
	Text   string
}

func (f *Fault) Error() string { return f.Text }

// Check tells what is wrong with an expression, unknown functions included, in a
// *[Fault].
func Check(expression string) error {
	_, err := parse(expression)
	return err
}

func parse(expression string) (node parsing.ASTNode, err error) {
	defer func() {
		if recover() != nil { // the parser trusts what it is given
			err = &Fault{Text: "not JMESPath"}
		}
	}()
	node, err = parsing.NewParser().Parse(expression)
	if syntax, ok := errors.AsType[parsing.SyntaxError](err); ok {
		text := strings.TrimPrefix(syntax.Error(), "SyntaxError: ")
		return node, &Fault{Offset: min(max(syntax.Offset, 0), len(expression)), Text: "not JMESPath: " + text}
	}
	if err != nil {
		return node, &Fault{Text: "not JMESPath: " + err.Error()}
	}
	return ordered(node), unknownFunction(node, expression)
}

func unknownFunction(node parsing.ASTNode, expression string) error {
	if name, ok := node.Value.(string); ok && node.NodeType == parsing.ASTFunctionExpression && !slices.Contains(names, name) {
		return &Fault{
			Offset: max(strings.Index(expression, name), 0),
			Text:   fmt.Sprintf("not JMESPath: unknown function %q", name),
		}
	}
	for _, child := range node.Children {
		if err := unknownFunction(child, expression); err != nil {
			return err
		}
	}
	return nil
}

// ordered replaces *, the projection of an object, by a projection of its values in
// the order of its keys.
func ordered(node parsing.ASTNode) parsing.ASTNode {
	children := make([]parsing.ASTNode, len(node.Children))
	for i, child := range node.Children {
		children[i] = ordered(child)
	}
	node.Children = children
	if node.NodeType == parsing.ASTValueProjection {
		values := parsing.ASTNode{NodeType: parsing.ASTFunctionExpression, Value: valuesOrNull, Children: children[:1]}
		return parsing.ASTNode{NodeType: parsing.ASTProjection, Children: []parsing.ASTNode{values, children[1]}}
	}
	return node
}

// ErrNothing says that an expression selects nothing, or null.
var ErrNothing = errors.New("it selects nothing")

var errFails = errors.New("it fails on this value: a function got a type that it does not take")

var errTwoSpellings = errors.New("it selects a number that the secret spells in two ways; select it without a filter or function")

// Search applies an expression to a JSON document, and returns the JSON of what it
// selects. Errors quote nothing of the document.
//
// The library computes with float64. So the expression is tried with the numbers as
// opaque texts too: where both agree, as they do wherever numbers are only passed on,
// the texts count. Elsewhere a number that stands in the document gets its text back,
// and one that was computed is written in the shortest way.
func Search(expression string, document []byte) ([]byte, error) {
	node, err := parse(expression)
	if err != nil {
		return nil, err
	}
	texts, err := decode(document)
	if err != nil {
		return nil, err
	}
	computed, err := search(node, floats(texts))
	if err != nil {
		return nil, err
	}
	var result any
	if exact, err := search(node, texts); err == nil && reflect.DeepEqual(floats(exact), computed) {
		result = exact
	} else if result, err = respell(computed, spellings(texts, map[float64][]json.Number{})); err != nil {
		return nil, err
	}
	if result == nil {
		return nil, ErrNothing
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil {
		return nil, errFails // an expression as the result, or NaN
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func decode(document []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

func search(node parsing.ASTNode, value any) (result any, err error) {
	defer func() {
		if recover() != nil {
			err = errFails
		}
	}()
	caller := interpreter.NewFunctionCaller(slices.Concat(functions.GetDefaultFunctions(), inOrder)...)
	result, err = interpreter.NewInterpreter(value, caller, nil).Execute(node, value)
	if err != nil {
		return nil, errFails // the library's texts quote values
	}
	return result, nil
}

// each applies do to every scalar of a tree, and returns the new tree.
func each(value any, do func(any) any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[key] = each(member, do)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = each(element, do)
		}
		return out
	default:
		return do(value)
	}
}

// floats is a tree with its numbers as the library knows them.
func floats(tree any) any {
	return each(tree, func(scalar any) any {
		if text, ok := scalar.(json.Number); ok {
			f, _ := strconv.ParseFloat(string(text), 64) // out of range is infinite
			return f
		}
		return scalar
	})
}

// spellings collects how a tree writes each number.
func spellings(tree any, found map[float64][]json.Number) map[float64][]json.Number {
	each(tree, func(scalar any) any {
		if text, ok := scalar.(json.Number); ok {
			f, _ := strconv.ParseFloat(string(text), 64)
			if !slices.Contains(found[f], text) {
				found[f] = append(found[f], text)
			}
		}
		return scalar
	})
	return found
}

func respell(tree any, found map[float64][]json.Number) (result any, err error) {
	result = each(tree, func(scalar any) any {
		f, ok := scalar.(float64)
		if !ok || len(found[f]) == 0 {
			return scalar
		}
		if len(found[f]) > 1 {
			err = errTwoSpellings
		}
		return found[f][0]
	})
	return result, err
}

// valuesOrNull is the function behind *; no expression can spell it.
const valuesOrNull = "values or null"

var object = []functions.ArgSpec{{Types: []functions.JpType{functions.JpObject}}}

// inOrder replaces the functions whose result has no order.
var inOrder = []functions.FunctionEntry{
	{Name: "keys", Arguments: object, Handler: func(arguments []any) (any, error) {
		return members(arguments[0], func(key string, _ any) any { return key }), nil
	}},
	{Name: "values", Arguments: object, Handler: func(arguments []any) (any, error) {
		return members(arguments[0], func(_ string, value any) any { return value }), nil
	}},
	{Name: "items", Arguments: object, Handler: func(arguments []any) (any, error) {
		return members(arguments[0], func(key string, value any) any { return []any{key, value} }), nil
	}},
	{Name: valuesOrNull, Handler: func(arguments []any) (any, error) {
		if _, ok := arguments[0].(map[string]any); !ok {
			return nil, nil
		}
		return members(arguments[0], func(_ string, value any) any { return value }), nil
	}},
}

func members(value any, of func(key string, value any) any) []any {
	m, _ := value.(map[string]any)
	list := make([]any, 0, len(m))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, of(key, m[key]))
	}
	return list
}

var names = func() []string {
	var all []string
	for _, f := range functions.GetDefaultFunctions() {
		all = append(all, f.Name)
	}
	return all
}()
