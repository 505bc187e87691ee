package emulator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const maxSeedFile = 16 << 20 // bytes of a seed file: a slip such as a device must not fill the memory

// seedSecret is one entry of a seed file.
type seedSecret struct {
	name    string
	line    int
	version version
}

func (a seedSecret) same(b seedSecret) bool {
	return a.version.id == b.version.id && a.version.data == b.version.data && a.version.dataType == b.version.dataType
}

// reading is one look at a seed file and the value files it names.
type reading struct {
	secrets []seedSecret
	keys    []seedKey
	files   []string // the value files, known also when something else is wrong
	raw     string   // all that was read: two readings with the same raw are the same
	err     error
}

// seedParser reads one seed file. No text of its errors holds anything that could be a value: no scalars, no unknown
// keys (they may be a value out of place), nothing of what the YAML library says.
type seedParser struct {
	path    string
	reading reading
}

func readSeed(path string) reading {
	p := seedParser{path: path}
	text, err := readCapped(path, maxSeedFile)
	if err != nil {
		return reading{raw: "error: " + err.Error(), err: fmt.Errorf("reading seed %q: %w", path, err)}
	}
	p.reading.raw = text
	p.reading.secrets, p.reading.err = p.parse(text)
	return p.reading
}

// readCapped reads a file of up to limit bytes. Its errors leave out the path, which the caller tells.
func readCapped(path string, limit int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", bare(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return string(data), bare(err)
}

func bare(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

func (p *seedParser) fault(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.path, line, fmt.Sprintf(format, args...))
}

func (p *seedParser) parse(text string) ([]seedSecret, error) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, p.syntax(err, strings.Count(text, "\n")+1)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, p.fault(max(1, more.Line), "only one YAML document is read")
	}
	root := doc.Content[0]
	if null(root) {
		return nil, p.fault(1, "the file is empty")
	}
	secrets, keys, err := p.sections(root)
	if err != nil {
		return nil, err
	}
	var all []seedSecret
	if secrets != nil {
		err = p.eachKey(secrets, "secrets", func(key, value *yaml.Node) error {
			s, err := p.entry(key, value)
			all = append(all, s)
			return err
		})
	}
	if err == nil && keys != nil {
		err = p.eachKey(keys, "keys", func(key, value *yaml.Node) error {
			k, err := p.key(key, value)
			p.reading.keys = append(p.reading.keys, k)
			return err
		})
	}
	return all, err
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (did not find)?`)

// syntax says where the YAML is broken in our own words. The library tells no line when it is the first, counts from 0
// in its "did not find" errors, and for an unknown anchor tells its name instead: often a value that starts with "*" and
// lacks its quotes.
func (p *seedParser) syntax(err error, lines int) error {
	if errors.Is(err, io.EOF) {
		return p.fault(1, "the file is empty")
	}
	if strings.HasPrefix(err.Error(), "yaml: unknown anchor") {
		return fmt.Errorf("%s: an alias names no anchor (a value that starts with * needs quotes)", p.path)
	}
	line := 1
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1]) // it is digits
		if m[2] != "" {
			line++
		}
	}
	return p.fault(min(line, lines), "not valid YAML")
}

// eachKey walks a mapping in its order. Keys that occur twice are refused, which a yaml.Node does not do by itself.
func (p *seedParser) eachKey(n *yaml.Node, what string, visit func(key, value *yaml.Node) error) error {
	n = target(n)
	if n.Kind != yaml.MappingNode || n.ShortTag() != "!!map" {
		return p.fault(n.Line, "%s must be a map", what)
	}
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := target(n.Content[i]), n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge" {
			return p.fault(key.Line, "a key of %s must be plain text", what)
		}
		if first, again := seen[key.Value]; again {
			return p.fault(key.Line, "a key of %s occurs twice, first on line %d", what, first)
		}
		seen[key.Value] = key.Line
		if err := visit(key, value); err != nil {
			return err
		}
	}
	return nil
}

// target follows an alias to what it stands for.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// null tells a node without content, written as ~, null or nothing at all.
func null(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// entry reads one secret, in its short or long form.
func (p *seedParser) entry(key, value *yaml.Node) (seedSecret, error) {
	s := seedSecret{name: key.Value, line: key.Line, version: version{id: "v1", dataType: typeText}}
	if checkName(kindGeneric, s.name) != nil {
		return s, p.fault(s.line, "secret %q: the name must be 1 to %d of A-Z a-z 0-9 _ / + = . @ - and not start with acs/", s.name, maxName)
	}
	n := target(value)
	if n.Kind != yaml.MappingNode {
		if n.Kind != yaml.ScalarNode {
			return s, p.fault(n.Line, "secret %q: a list needs the key value", s.name)
		}
		return s, p.value(&s, n)
	}
	given := 0
	err := p.eachKey(n, fmt.Sprintf("secret %q", s.name), func(key, value *yaml.Node) error {
		value = target(value)
		switch key.Value {
		case "value":
			given++
			return p.value(&s, value)
		case "value_file":
			given++
			return p.valueFile(&s, value)
		case "version":
			return p.versionID(&s, value)
		case "data_type":
			return p.dataType(&s, value)
		}
		return p.fault(key.Line, "secret %q: unknown key, known are value, value_file, version and data_type", s.name)
	})
	if err == nil && given != 1 {
		err = p.fault(s.line, "secret %q: exactly one of value and value_file is needed", s.name)
	}
	return s, err
}
