package emulator

import (
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

const ecsService = "ecs.aliyuncs.com"

var ramName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

const maxRAMName = 64 // characters

// list returns a reader of a list's items.
func (p *policyParser) list(what string, read func(*yaml.Node) error) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.SequenceNode {
			return p.fault(n.Line, "%s must be a list", what)
		}
		for _, item := range n.Content {
			if err := read(target(item)); err != nil {
				return err
			}
		}
		return nil
	}
}

// text returns a reader of one text that is not empty.
func (p *policyParser) text(what string, into *string) func(*yaml.Node) error {
	return func(n *yaml.Node) error {
		if n.Kind != yaml.ScalarNode || null(n) || n.Value == "" {
			return p.fault(n.Line, "%s must be a text", what)
		}
		*into = n.Value
		return nil
	}
}

func (p *policyParser) texts(what string, into *[]string) func(*yaml.Node) error {
	return p.list(what, func(n *yaml.Node) error {
		var one string
		err := p.text("an item of "+what, &one)(n)
		*into = append(*into, one)
		return err
	})
}

func (p *policyParser) user(account, name string, n *yaml.Node) error {
	what := fmt.Sprintf("account %s: user %q", account, name)
	owner := identity{kind: kindUser, account: account, name: name}
	keys := map[string]string{}
	err := p.fields(n, what, map[string]func(*yaml.Node) error{
		"policies": p.policies(what, &owner.policies),
		"access_keys": p.list(what+": access_keys", func(n *yaml.Node) error {
			var id, secret string
			if err := p.fields(n, what+": access key", map[string]func(*yaml.Node) error{
				"id": p.text(what+": id", &id), "secret": p.text(what+": secret", &secret),
			}); err != nil {
				return err
			}
			_, taken := p.directory.keys[id]
			if _, again := keys[id]; id == "" || secret == "" || taken || again {
				return p.fault(n.Line, "%s: an access key needs a secret, and an id that no other has", what)
			}
			keys[id] = secret
			return nil
		}),
	})
	for id, secret := range keys { // now that the policies are known, in whatever order they came
		key := accessKey{secret: secret, owner: owner}
		key.owner.keyID = id
		p.directory.keys[id] = key
	}
	return err
}

func (p *policyParser) role(what string, n *yaml.Node) (role, error) {
	var r role
	err := p.fields(n, what, map[string]func(*yaml.Node) error{
		"policies": p.policies(what, &r.policies),
		"trust": func(n *yaml.Node) error {
			return p.fields(n, what+": trust", map[string]func(*yaml.Node) error{
				"principals": p.texts(what+": principals", &r.principals),
				"services":   p.texts(what+": services", &r.services),
				"external_id": func(n *yaml.Node) error {
					err := p.text(what+": external_id", &r.external)(n)
					if err == nil && !validExternalID(r.external) {
						err = p.fault(n.Line, "%s: external_id must be 2 to 1224 of A-Z a-z 0-9 _ + = , . @ : / -", what)
					}
					return err
				},
				"oidc": p.list(what+": oidc", func(n *yaml.Node) error {
					var t oidcTrust
					err := p.fields(n, what+": oidc", map[string]func(*yaml.Node) error{
						"provider": p.text(what+": provider", &t.provider),
						"subjects": p.texts(what+": subjects", &t.subjects),
					})
					if err == nil && t.provider == "" {
						err = p.fault(n.Line, "%s: oidc needs a provider", what)
					}
					r.oidc = append(r.oidc, t)
					return err
				}),
			})
		},
	})
	return r, err
}

// serves tells whether a service may take on the role for its users.
func (r role) serves(service string) bool { return slices.Contains(r.services, service) }

func (p *policyParser) provider(what string, n *yaml.Node) (oidcProvider, error) {
	var o oidcProvider
	err := p.fields(n, what, map[string]func(*yaml.Node) error{
		"issuer":    p.text(what+": issuer", &o.issuer),
		"audiences": p.texts(what+": audiences", &o.audiences),
	})
	if err == nil && o.issuer == "" {
		err = p.fault(n.Line, "%s: the issuer is missing", what)
	}
	return o, err
}
