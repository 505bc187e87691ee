package emulator

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// identityKind says what an identity is. The text is what GetCallerIdentity calls it.
type identityKind string

const (
	kindRoot identityKind = "Account"
	kindUser identityKind = "RAMUser"
	kindRole identityKind = "AssumedRoleUser"
)

// identity is a caller who has been believed.
type identity struct {
	kind     identityKind
	account  string
	name     string // of the user or role
	session  string // of a role
	keyID    string
	policies []policy
	limit    *policy // what a session may do at most; nil is no limit
	open     bool    // there are no policies at all, so that everything is allowed
}

// arn is the name of the caller as GetCallerIdentity tells it.
func (id identity) arn() string {
	switch id.kind {
	case kindUser:
		return ramARN(id.account, "user/"+id.name)
	case kindRole:
		return ramARN(id.account, "assumed-role/"+id.name+"/"+id.session)
	}
	return ramARN(id.account, "root")
}

// principals are the names under which a policy may know the caller. The root of an account stands for all who are in it,
// as it does in trust policies; secret policies write that as "*".
func (id identity) principals() []string {
	all := []string{ramARN(id.account, "root"), id.arn()}
	if id.kind == kindRole {
		all = append(all, ramARN(id.account, "role/"+id.name))
	}
	return all
}

func ramARN(account, resource string) string { return "acs:ram::" + account + ":" + resource }

// number makes up the number that RAM would give to what has this ARN: 18 digits, the same in each run.
func number(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return fmt.Sprint(300_000_000_000_000_000 + binary.BigEndian.Uint64(sum[:])%100_000_000_000_000_000)
}
