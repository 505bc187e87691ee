package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kmsrun/kmsrun/config"
)

// writers write a JSON value in the format of a file. Errors name keys, never values.
var writers = map[string]func(document []byte, c config.Config) ([]byte, error){
	"json":       writeJSON,
	"yaml":       writeYAML,
	"dotenv":     func(document []byte, _ config.Config) ([]byte, error) { return writeLines(document, dotenvLine) },
	"docker-env": func(document []byte, _ config.Config) ([]byte, error) { return writeLines(document, dockerLine) },
	"properties": func(document []byte, _ config.Config) ([]byte, error) { return writeLines(document, propertiesLine) },
	"profile":    writeProfile,
}

func writeJSON(document []byte, _ config.Config) ([]byte, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(document), "", "  "); err != nil {
		return nil, errors.New("the value is not JSON")
	}
	return append(out.Bytes(), '\n'), nil
}

// writeLines writes each key of an object as a line of its own. A key that the format
// can't carry, with its value, is refused by name.
func writeLines(document []byte, line func(key, value string) (string, error)) ([]byte, error) {
	keys, values, err := texts(document)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	for i, key := range keys {
		text, err := line(key, string(values[i]))
		if err != nil {
			return nil, fmt.Errorf("key %q: %w", key, err)
		}
		out.WriteString(text + "\n")
	}
	return []byte(out.String()), nil
}

// writeYAML keeps the order of keys and the text of numbers. Strings are quoted
// always: which plain words are none (no, on, 1e3, ~) depends on the reader.
func writeYAML(document []byte, _ config.Config) ([]byte, error) {
	node, err := yamlNode(document)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(node); err != nil {
		return nil, errors.New("the value can't be written as YAML")
	}
	return []byte(out.String()), encoder.Close()
}

func yamlNode(document json.RawMessage) (*yaml.Node, error) {
	switch document = bytes.TrimSpace(document); document[0] {
	case '{':
		list, err := members(document)
		if err != nil {
			return nil, err
		}
		node := &yaml.Node{Kind: yaml.MappingNode}
		for _, m := range list {
			value, err := yamlNode(m.value)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, yamlString(m.key), value)
		}
		return node, nil
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(document, &list); err != nil {
			return nil, errors.New("the value is not JSON")
		}
		node := &yaml.Node{Kind: yaml.SequenceNode}
		for _, element := range list {
			value, err := yamlNode(element)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, value)
		}
		return node, nil
	case '"':
		text, err := scalar(document)
		return yamlString(string(text)), err
	default: // a number, true, false or null, which YAML writes alike
		return &yaml.Node{Kind: yaml.ScalarNode, Value: string(document)}, nil
	}
}

func yamlString(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text}
}

// writeProfile writes the access key of a RAM user as the aliyun CLI keeps it in
// ~/.aliyun/config.json, with one profile of mode AK.
func writeProfile(document []byte, c config.Config) ([]byte, error) {
	keys, values, err := texts(document)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for i, key := range keys {
		found[key] = string(values[i])
	}
	id, secret := found["AccessKeyId"], found["AccessKeySecret"]
	if id == "" || secret == "" {
		return nil, errors.New("want the access key of a RAM user, with the keys AccessKeyId and AccessKeySecret")
	}
	type profile struct {
		Name            string `json:"name"`
		Mode            string `json:"mode"`
		AccessKeyID     string `json:"access_key_id"`
		AccessKeySecret string `json:"access_key_secret"`
		Region          string `json:"region_id"`
		Output          string `json:"output_format"`
		Language        string `json:"language"`
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(struct {
		Current  string    `json:"current"`
		Profiles []profile `json:"profiles"`
	}{"default", []profile{{"default", "AK", id, secret, c.KMS.Region, "json", "en"}}})
	return []byte(out.String()), err
}
