package emulator

import (
	"net/netip"
	"slices"
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
	oneAlias // and its key
	oneTagged
	manyTagged
	ciphertext // a key that wrote its name there
	allAliases
)

// resources has each action of KMS. An action that is missing here is denied to all who need a permission.
var resources = map[string]resourceKind{
	"CreateSecret":                    allSecrets,
	"ListSecrets":                     allSecrets,
	"PutSecretValue":                  oneSecret,
	"GetSecretValue":                  oneSecret,
	"DescribeSecret":                  oneSecret,
	"ListSecretVersionIds":            oneSecret,
	"UpdateSecret":                    oneSecret,
	"UpdateSecretVersionStage":        oneSecret,
	"UpdateSecretRotationPolicy":      oneSecret,
	"RotateSecret":                    oneSecret,
	"DeleteSecret":                    oneSecret,
	"RestoreSecret":                   oneSecret,
	"SetSecretPolicy":                 oneSecret,
	"GetSecretPolicy":                 oneSecret,
	"GetRandomPassword":               noResource,
	"CreateKey":                       allKeys,
	"ListKeys":                        allKeys,
	"DescribeKey":                     oneKey,
	"UpdateKeyDescription":            oneKey,
	"EnableKey":                       oneKey,
	"DisableKey":                      oneKey,
	"UpdateRotationPolicy":            oneKey,
	"ScheduleKeyDeletion":             oneKey,
	"CancelKeyDeletion":               oneKey,
	"SetDeletionProtection":           oneKey,
	"CreateKeyVersion":                oneKey,
	"ListKeyVersions":                 oneKey,
	"SetKeyPolicy":                    oneKey,
	"GetKeyPolicy":                    oneKey,
	"Encrypt":                         oneKey,
	"GenerateDataKey":                 oneKey,
	"GenerateDataKeyWithoutPlaintext": oneKey,
	"ListResourceTags":                oneKey,
	"CreateAlias":                     oneAlias,
	"UpdateAlias":                     oneAlias,
	"DeleteAlias":                     oneAlias,
	"ListAliases":                     allAliases,
	"Decrypt":                         ciphertext,
	"TagResource":                     oneTagged,
	"UntagResource":                   oneTagged,
	"TagResources":                    manyTagged,
	"UntagResources":                  manyTagged,
	"ListTagResources":                manyTagged,
}
