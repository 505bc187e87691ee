package emulator

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// policy is a RAM policy document.
type policy struct {
	statements []statement
}

// statement grants or refuses. Principals are those of a secret's policy; an identity's policy has none.
type statement struct {
	deny                           bool
	actions, resources, principals []string
	conditions                     []condition
}

// condition tells whether a statement applies to a request made under these circumstances.
type condition func(circumstances) bool

// circumstances are what conditions may look at.
type circumstances struct {
	now    time.Time
	source netip.Addr
	secure bool
}

// question is what a policy is asked.
type question struct {
	action, resource string
	principals       []string // names of the caller
	at               circumstances
}

// verdict is the answer of policies. The greater one wins.
type verdict int

const (
	silent verdict = iota
	allowed
	denied
)

func (p policy) judge(q question) verdict {
	best := silent
	for _, s := range p.statements {
		if s.applies(q) {
			best = max(best, s.verdict())
		}
	}
	return best
}

func (s statement) verdict() verdict {
	if s.deny {
		return denied
	}
	return allowed
}

func (s statement) applies(q question) bool {
	if !matchesAny(s.actions, q.action) || !matchesAny(s.resources, q.resource) {
		return false
	}
	if s.principals != nil && !slices.ContainsFunc(q.principals, func(name string) bool { return matchesAny(s.principals, name) }) {
		return false
	}
	return !slices.ContainsFunc(s.conditions, func(holds condition) bool { return !holds(q.at) })
}

// judge asks the policies that an identity has itself. What a session was limited to is denied beyond that limit, also to
// what a secret's policy would allow.
func (id identity) judge(q question) verdict {
	best := silent
	if id.open || id.kind == kindRoot {
		best = allowed
	}
	for _, p := range id.policies {
		best = max(best, p.judge(q))
	}
	if id.limit != nil && id.limit.judge(q) != allowed {
		return denied
	}
	return best
}

// resourceKind is the kind of resource that RAM checks an action on.
type resourceKind int

const (
	noResource resourceKind = iota + 1
	allSecrets
	oneSecret
	allKeys
	oneKey
)

// resources has each action of KMS. An action that is missing here is denied to all who need a permission.
var resources = map[string]resourceKind{
	"CreateSecret":               allSecrets,
	"ListSecrets":                allSecrets,
	"PutSecretValue":             oneSecret,
	"GetSecretValue":             oneSecret,
	"DescribeSecret":             oneSecret,
	"ListSecretVersionIds":       oneSecret,
	"UpdateSecret":               oneSecret,
	"UpdateSecretVersionStage":   oneSecret,
	"UpdateSecretRotationPolicy": oneSecret,
	"RotateSecret":               oneSecret,
	"DeleteSecret":               oneSecret,
	"RestoreSecret":              oneSecret,
	"SetSecretPolicy":            oneSecret,
	"GetSecretPolicy":            oneSecret,
	"GetRandomPassword":          noResource,
	"CreateKey":                  allKeys,
	"DescribeKey":                oneKey,
}

// subject is what a request is about.
type subject struct {
	account  string // whose it is
	resource string // its ARN, or "*" for an action that has no resource
	secret   string // the name of the secret, if it is one
}

// subject reads the resource off the parameters, without a look at the state: whether it exists is not known yet. A name is
// one of the caller's account. An ARN of another region stays as it is; no store will know it.
func (a *accounts) subject(action string, caller identity, p params) subject {
	t := subject{account: caller.account, resource: "*"}
	kind, name := resources[action], ""
	switch kind {
	case allSecrets:
		t.resource, t.secret = a.prefix(t.account)+"secret", p["SecretName"]
		return t
	case allKeys:
		t.resource = a.prefix(t.account) + "key"
		return t
	case oneSecret:
		name = p["SecretName"]
	case oneKey:
		name = p["KeyId"]
	default:
		return t
	}
	if account, resource, ok := a.split(name); ok {
		t.account, name = account, resource
	} else if kind == oneSecret && !strings.HasPrefix(name, "acs:") {
		name = "secret/" + name
	} else if !strings.HasPrefix(name, "acs:") && !strings.HasPrefix(name, "alias/") {
		name = "key/" + name
	}
	if strings.HasPrefix(name, "acs:") {
		t.resource = name
		return t
	}
	t.resource = a.prefix(t.account) + name
	if kind == oneSecret {
		if secret, ok := strings.CutPrefix(name, "secret/"); ok {
			t.secret = secret
		}
	}
	return t
}
