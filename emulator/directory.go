package emulator

import "slices"

// accessKey is a permanent key and whose it is.
type accessKey struct {
	secret string
	owner  identity
}

// role is what a role may do, and who may take it on.
type role struct {
	policies   []policy
	principals []string // patterns of ARNs
	external   string   // the ExternalId that principals have to tell; empty for none
	services   []string
	oidc       []oidcTrust
}

// oidcTrust lets tokens of a provider take on a role: those with such a subject, or all.
type oidcTrust struct {
	provider string
	subjects []string // patterns
}

// oidcProvider is an issuer of tokens that an account believes.
type oidcProvider struct {
	issuer    string
	audiences []string
}

// account is what a policy file tells of an account.
type account struct {
	roles     map[string]role
	providers map[string]oidcProvider
}

// directory knows all identities. It does not change once the emulator serves.
type directory struct {
	keys     map[string]accessKey
	accounts map[string]account
	open     bool // no policy file: every role exists, and everything is allowed
}

// role finds a role; in an open directory each name is one.
func (d *directory) role(number, name string) (role, bool) {
	if d.open {
		return role{}, name != "" && number != ""
	}
	r, ok := d.accounts[number].roles[name]
	return r, ok
}

// assumed is the identity of those who have taken on a role.
func (d *directory) assumed(s session) (identity, bool) {
	r, ok := d.role(s.Account, s.Role)
	id := identity{
		kind: kindRole, account: s.Account, name: s.Role, session: s.Name, keyID: s.KeyID,
		policies: r.policies, open: d.open,
	}
	if ok && s.Policy != "" {
		limit, err := parsePolicy(s.Policy, identityPolicy)
		if err != nil {
			return identity{}, false
		}
		id.limit = &limit
	}
	return id, ok
}

// trusts tells whether the role may be taken on by the caller, who told that external id. A role that wants none does not
// look at it.
func (r role) trusts(id identity, external string) bool {
	return (r.external == "" || r.external == external) &&
		slices.ContainsFunc(id.principals(), func(name string) bool { return matchesAny(r.principals, name) })
}
