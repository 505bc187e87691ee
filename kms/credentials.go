package kms

import (
	"errors"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
)

// Credentials are an access key, or an STS token when Token is not empty. The
// secrets live behind funcs, so that nothing can print them.
type Credentials struct {
	id     string
	secret func() string
	token  func() string // nil without one
	from   []string      // the environment variables that were used
}

// AccessKey makes credentials of an access key.
func AccessKey(id, secret string) Credentials {
	return Credentials{id: id, secret: func() string { return secret }}
}

// variables are the environment's spellings of an access key, id, secret and
// session token, in the order in which they are tried.
var variables = [][3]string{
	{"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"},
	{"ALICLOUD_ACCESS_KEY_ID", "ALICLOUD_ACCESS_KEY_SECRET", "ALICLOUD_SECURITY_TOKEN"},
	{"ALICLOUD_ACCESS_KEY", "ALICLOUD_SECRET_KEY", "ALICLOUD_SECURITY_TOKEN"},
}

// FromEnvironment reads an access key or STS token from the environment. The
// error says which variable to set.
func FromEnvironment(lookup func(string) (string, bool)) (Credentials, error) {
	for _, names := range variables {
		id, _ := lookup(names[0])
		secret, _ := lookup(names[1])
		switch {
		case id == "" && secret == "":
			continue
		case id == "":
			return Credentials{}, errors.New("no access key: " + names[1] + " is set; set " + names[0] + " too")
		case secret == "":
			return Credentials{}, errors.New("no access key: " + names[0] + " is set; set " + names[1] + " too")
		}
		c := AccessKey(id, secret)
		c.from = names[:2]
		if token, _ := lookup(names[2]); token != "" {
			c.token = func() string { return token }
			c.from = names[:]
		}
		return c, nil
	}
	return Credentials{}, errors.New("no access key: set " + variables[0][0] + " and " + variables[0][1] +
		" (and " + variables[0][2] + " for an STS token)")
}

// Variables names the environment variables that hold these credentials in any of
// the spellings, if they came from the environment; the child should not inherit
// them.
func (c Credentials) Variables() []string {
	if c.from == nil {
		return nil
	}
	var names []string
	for _, spelling := range variables {
		names = append(names, spelling[:]...)
	}
	return names
}

func (c Credentials) forSDK() auth.Credential {
	if c.token != nil {
		return credentials.NewStsTokenCredential(c.id, c.secret(), c.token())
	}
	return credentials.NewAccessKeyCredential(c.id, c.secret())
}
