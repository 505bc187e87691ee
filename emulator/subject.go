package emulator

import "strings"

// subject is what a request is about.
type subject struct {
	account  string   // whose it is
	resource string   // its ARN, or "*" for an action that has no resource
	more     []string // ARNs of what else it is about, where leave is needed for each
	secret   string   // the name of the secret, if it is one
}

// subject reads the resources off the parameters, without a look whether they exist. A name is one of the caller's
// account. An ARN of another region stays as it is; no store will know it.
func (a *accounts) subject(action string, caller identity, p params) subject {
	t := subject{account: caller.account, resource: "*"}
	switch resources[action] {
	case allSecrets:
		t.resource, t.secret = a.prefix(t.account)+"secret", p["SecretName"]
	case allKeys:
		t.resource = a.prefix(t.account) + "key"
	case allAliases:
		t.resource = a.prefix(t.account) + "alias"
	case oneSecret:
		return a.one(t.account, tagged{tagSecret, p["SecretName"]})
	case oneKey:
		return a.one(t.account, tagged{tagKey, p["KeyId"] + p["ProtectedResourceArn"]}) // of the two only one is taken
	case oneAlias:
		return a.aliasAndKey(t, p)
	case oneTagged:
		if p["SecretName"] != "" {
			return a.one(t.account, tagged{tagSecret, p["SecretName"]})
		}
		return a.one(t.account, tagged{tagKey, p["KeyId"]})
	case manyTagged:
		return a.many(t, p)
	case ciphertext:
		if b, err := p.blob(); err == nil {
			return a.one(t.account, tagged{tagKey, b.key})
		}
	}
	return t
}

// one is a secret or key by name or ARN.
func (a *accounts) one(account string, of tagged) subject {
	t, name := subject{account: account}, of.name
	if owner, resource, ok := a.split(name); ok {
		t.account, name = owner, resource
	} else if !strings.HasPrefix(name, "acs:") && (of.kind == tagSecret || !strings.HasPrefix(name, aliasPrefix)) {
		name = of.kind + "/" + name
	}
	if strings.HasPrefix(name, "acs:") {
		t.resource = name
		return t
	}
	t.resource = a.prefix(t.account) + name
	if of.kind == tagSecret {
		t.secret, _ = strings.CutPrefix(name, "secret/")
		if t.secret == name {
			t.secret = ""
		}
	}
	if strings.HasPrefix(name, aliasPrefix) { // who uses an alias needs leave for its key
		t.resource = a.keyARN(t.account, t.resource)
	}
	return t
}

// keyARN is the ARN of the key that an alias means, or ref itself if it means none.
func (a *accounts) keyARN(account, ref string) string {
	if st, ok := a.find(account); ok {
		if arn, ok := st.keyARN(ref); ok {
			return arn
		}
	}
	return ref
}

// aliasAndKey needs leave for the alias and the key that has it, or is to get it.
func (a *accounts) aliasAndKey(t subject, p params) subject {
	alias := a.prefix(t.account) + p["AliasName"]
	if p["KeyId"] == "" {
		t.resource = a.keyARN(t.account, alias)
	} else {
		t = a.one(t.account, tagged{tagKey, p["KeyId"]})
	}
	t.more = []string{alias}
	return t
}

// many is all the resources of a plural action, or their kind.
func (a *accounts) many(t subject, p params) subject {
	all, err := p.taggedMany()
	if err != nil {
		return t
	}
	if len(all) == 0 {
		t.resource = a.prefix(t.account) + p["ResourceType"]
		return t
	}
	for i, of := range all {
		one := a.one(t.account, of)
		if i == 0 {
			t.resource, t.secret = one.resource, one.secret
			continue
		}
		t.more = append(t.more, one.resource)
	}
	return t
}
