package emulator

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"

	"go.yaml.in/yaml/v3"
)

// policyParser reads a policy file. Like the seed's, its faults hold no scalars: access keys are among them.
type policyParser struct {
	seedParser
	directory *directory
}

// LoadPolicy makes the identities of a YAML file known, and lets its RAM policies decide who may do what. Without it
// everything is allowed. It is called once, before the emulator serves. The key of Config stays the root of its account.
//
//	accounts:
//	  "1000000000000001":
//	    users:
//	      app:
//	        access_keys: [{id: app, secret: app-secret}]
//	        policies:
//	          - Version: "1"
//	            Statement: [{Effect: Allow, Action: kms:GetSecretValue, Resource: "acs:kms:*:*:secret/prod/*"}]
//	    roles:
//	      reader:
//	        trust:
//	          principals: ["acs:ram::1000000000000001:user/app"]
//	          services: [ecs.aliyuncs.com]
//	          oidc: [{provider: cluster, subjects: ["system:serviceaccount:shop:*"]}]
//	        policies: [...]
//	    oidc_providers:
//	      cluster: {issuer: "https://oidc.example.com", audiences: [sts.aliyuncs.com]}
func (e *Emulator) LoadPolicy(path string) error {
	p := policyParser{
		seedParser: seedParser{path: path},
		directory:  &directory{keys: maps.Clone(e.directory.keys), accounts: map[string]account{}},
	}
	text, err := readCapped(path, maxSeedFile)
	if err != nil {
		return fmt.Errorf("reading policy %q: %w", path, err)
	}
	root, err := p.root(text)
	if err != nil {
		return err
	}
	if err := p.readAccounts(root); err != nil {
		return err
	}
	if e.ecsRole != "" {
		if r, ok := p.directory.role(e.account, e.ecsRole); !ok || !r.serves(ecsService) {
			return fmt.Errorf("%s: account %s has no role %q that trusts the service %s", path, e.account, e.ecsRole, ecsService)
		}
	}
	e.directory = p.directory
	for id, key := range e.directory.keys {
		key.owner.open = false
		e.directory.keys[id] = key
	}
	return nil
}

// root decodes the one document of the file.
func (p *policyParser) root(text string) (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, p.syntax(err, strings.Count(text, "\n")+1)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, p.fault(max(1, more.Line), "only one YAML document is read")
	}
	return doc.Content[0], nil
}

// fields walks a map whose keys are known.
func (p *policyParser) fields(n *yaml.Node, what string, known map[string]func(*yaml.Node) error) error {
	return p.eachKey(n, what, func(key, value *yaml.Node) error {
		read, ok := known[key.Value]
		if !ok {
			return p.fault(key.Line, "%s: unknown key", what)
		}
		return read(target(value))
	})
}

func (p *policyParser) readAccounts(root *yaml.Node) error {
	return p.fields(root, "the file", map[string]func(*yaml.Node) error{
		"accounts": func(n *yaml.Node) error {
			return p.eachKey(n, "accounts", func(key, value *yaml.Node) error {
				if _, _, ok := splitRAM(ramARN(key.Value, "root")); !ok {
					return p.fault(key.Line, "an account must be a number of up to 20 digits")
				}
				return p.readAccount(key.Value, value)
			})
		},
	})
}

func (p *policyParser) readAccount(number string, n *yaml.Node) error {
	what := "account " + number
	a := account{roles: map[string]role{}, providers: map[string]oidcProvider{}}
	err := p.fields(n, what, map[string]func(*yaml.Node) error{
		"users": func(n *yaml.Node) error {
			return p.named(n, what+": users", func(name string, n *yaml.Node) error { return p.user(number, name, n) })
		},
		"roles": func(n *yaml.Node) error {
			return p.named(n, what+": roles", func(name string, n *yaml.Node) (err error) {
				a.roles[name], err = p.role(fmt.Sprintf("%s: role %q", what, name), n)
				return err
			})
		},
		"oidc_providers": func(n *yaml.Node) error {
			return p.named(n, what+": oidc_providers", func(name string, n *yaml.Node) (err error) {
				a.providers[name], err = p.provider(fmt.Sprintf("%s: OIDC provider %q", what, name), n)
				return err
			})
		},
	})
	p.directory.accounts[number] = a
	return err
}

// named walks a map of things by their RAM names.
func (p *policyParser) named(n *yaml.Node, what string, read func(string, *yaml.Node) error) error {
	return p.eachKey(n, what, func(key, value *yaml.Node) error {
		if len(key.Value) > maxRAMName || !ramName.MatchString(key.Value) {
			return p.fault(key.Line, "a name of %s must be 1 to 64 of A-Z a-z 0-9 . _ -", what)
		}
		return read(key.Value, value)
	})
}

// policies reads a list of RAM policy documents.
func (p *policyParser) policies(what string, into *[]policy) func(*yaml.Node) error {
	return p.list(what+": policies", func(n *yaml.Node) error {
		var text bytes.Buffer
		if at, err := writeJSON(&text, n); err != nil {
			return p.fault(at.Line, "%s: the policy is too big, or not plain YAML", what)
		}
		parsed, err := parsePolicy(text.String(), identityPolicy)
		if err != nil {
			return p.fault(policyLine(n, err), "%s: policy: %v", what, err)
		}
		*into = append(*into, parsed)
		return nil
	})
}

// policyLine is where the statement at fault begins.
func policyLine(n *yaml.Node, err error) int {
	bad, ok := errors.AsType[*policyError](err)
	if !ok || bad.statement < 0 || n.Kind != yaml.MappingNode {
		return n.Line
	}
	for i := 0; i < len(n.Content); i += 2 {
		if list := target(n.Content[i+1]); n.Content[i].Value == "Statement" && bad.statement < len(list.Content) {
			return list.Content[bad.statement].Line
		}
	}
	return n.Line
}
