package kms

import (
	"errors"
	"strings"
	"time"
)

// Credentials are an access key, or an STS token when Token is not empty. The
// secrets live behind funcs, so that nothing can print them.
type Credentials struct {
	identity
	id      string
	secret  func() string
	token   func() string // nil without one
	expires time.Time     // zero: never
	reread  time.Duration // how soon to look again without an end in sight; 0: never
}

// identity is what may be told of credentials.
type identity struct {
	what    string    // in words
	from    [3]string // where id, secret and token came from: variables or files
	role    string    // ARN of the role that this is a session of; empty for an access key
	account string    // that they belong to, if known

	handedOut bool // by an instance's metadata or a credentials URI
}

// AccessKey makes credentials of an access key.
func AccessKey(id, secret string) Credentials {
	return Credentials{id: id, secret: func() string { return secret }, identity: identity{what: "a given access key"}}
}

func stsToken(id, secret, token string) Credentials {
	c := AccessKey(id, secret)
	c.token = func() string { return token }
	c.what = "a given STS token"
	return c
}

func (c Credentials) sessionToken() string {
	if c.token == nil {
		return ""
	}
	return c.token()
}

// within tells whether a text holds one of the secrets, or the key's id.
func (c Credentials) within(text string) bool {
	for _, word := range []string{c.id, c.secret(), c.sessionToken()} {
		if word != "" && strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// same tells whether asking again brought nothing new.
func (c Credentials) same(d Credentials) bool {
	return c.id == d.id && c.secret() == d.secret() && c.sessionToken() == d.sessionToken()
}

// variables are the environment's spellings of an access key, id, secret and
// session token, in the order in which they are tried.
var variables = [][3]string{
	{"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"},
	{"ALICLOUD_ACCESS_KEY_ID", "ALICLOUD_ACCESS_KEY_SECRET", "ALICLOUD_SECURITY_TOKEN"},
	{"ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALICLOUD_SECURITY_TOKEN"},
}

// Lookup finds a variable of the environment, as os.LookupEnv does.
type Lookup func(string) (string, bool)

// either is the value of a variable in the first of its two spellings that is set.
func (lookup Lookup) either(name string) string {
	for _, prefix := range []string{"ALIBABA_CLOUD_", "ALICLOUD_"} {
		if value, _ := lookup(prefix + name); value != "" {
			return value
		}
	}
	return ""
}

// errNoKey says that the environment holds no access key, nor half of one.
var errNoKey = errors.New("no access key in the environment")

// fromEnvironment reads an access key or STS token from the environment. The
// error is errNoKey, or says which variable to set.
func fromEnvironment(lookup Lookup) (Credentials, error) {
	for _, names := range variables {
		id, _ := lookup(names[0])
		secret, _ := lookup(names[1])
		switch {
		case id == "" && secret == "":
			continue
		case id == "":
			return Credentials{}, noCredentials(names[1]+" is set", "set "+names[0]+" too")
		case secret == "":
			return Credentials{}, noCredentials(names[0]+" is set", "set "+names[1]+" too")
		}
		c := AccessKey(id, secret)
		c.what = "the access key of " + names[0]
		if token, _ := lookup(names[2]); token != "" {
			c = stsToken(id, secret, token)
			c.what = "the STS token of " + names[2]
		}
		c.from = names
		return c, nil
	}
	return Credentials{}, errNoKey
}

// setKey is what to do where there is no access key.
var setKey = "set " + variables[0][0] + " and " + variables[0][1] + " (and " + variables[0][2] + " for an STS token)"

func noCredentials(detail, advice string) *Error {
	return &Error{Kind: NoCredentials, detail: detail, advice: advice}
}

// Variables names the environment variables that may hold an access key, in all
// spellings: where kmsrun has used one, the program should not inherit it.
func Variables() []string {
	var names []string
	for _, spelling := range variables {
		names = append(names, spelling[:]...)
	}
	return names
}

// accountOf is the account in the ARN of a role.
func accountOf(roleARN string) string {
	if parts := strings.Split(roleARN, ":"); len(parts) == 5 {
		return parts[3]
	}
	return ""
}
