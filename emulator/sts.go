package emulator

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// stsCall is a request to STS that has been believed, or that nobody has to sign.
type stsCall struct {
	caller    identity
	at        circumstances
	params    params
	requestID string
}

// stsOperations are the actions of STS by name.
var stsOperations = map[string]operation{
	"AssumeRole": {
		name: "AssumeRole",
		action: action{
			required: []string{"RoleArn", "RoleSessionName"},
			optional: []string{"DurationSeconds", "ExternalId", "Policy"},
			unbuilt:  []string{"SourceIdentity"},
		},
		sts: (*Emulator).assumeRole,
	},
	"AssumeRoleWithOIDC": {
		name: "AssumeRoleWithOIDC",
		action: action{
			required: []string{"OIDCProviderArn", "RoleArn", "OIDCToken", "RoleSessionName"},
			optional: []string{"DurationSeconds", "Policy"},
		},
		sts: (*Emulator).assumeRoleWithOIDC, unsigned: true,
	},
	"GetCallerIdentity": {name: "GetCallerIdentity", sts: (*Emulator).getCallerIdentity},
}

var (
	errNoRole        = &fault{http.StatusNotFound, "EntityNotExist.Role", "The specified Role not exists.", true}
	errMayNotAssume  = &fault{http.StatusForbidden, "NoPermission", "You are not authorized to do this action. You should be authorized by RAM.", true}
	errPolicyGrammar = &fault{http.StatusBadRequest, "InvalidParameter.PolicyGrammar", "The parameter Policy has not passed grammar check.", true}
	errPolicySize    = &fault{http.StatusBadRequest, "InvalidParameter.PolicySize", "The size of Policy must be smaller than 2048 bytes.", true}
)

const (
	maxSessionPolicy = 2048
	minLife          = 900 // seconds
	stsLife          = 3600
	maxLife          = 43200 // the most that a role can be set to, which all ours are
)

var roleSessionName = regexp.MustCompile(`^[A-Za-z0-9.@_-]+$`)

func wronglyFormed(name string) *fault {
	return &fault{http.StatusBadRequest, "InvalidParameter." + name, "The parameter " + name + " is wrongly formed.", true}
}

// wanted is the session that the parameters of either AssumeRole describe, and its life.
func (c stsCall) wanted() (session, time.Duration, error) {
	account, resource, ok := splitRAM(c.params["RoleArn"])
	name, isRole := strings.CutPrefix(resource, "role/")
	if !ok || !isRole || name == "" {
		return session{}, 0, wronglyFormed("RoleArn")
	}
	s := session{Account: account, Role: name, Name: c.params["RoleSessionName"], Policy: c.params["Policy"]}
	if n := len(s.Name); n < 2 || n > 64 || !roleSessionName.MatchString(s.Name) {
		return s, 0, wronglyFormed("RoleSessionName")
	}
	seconds, err := c.params.integer("DurationSeconds", stsLife, minLife, maxLife)
	if err != nil {
		return s, 0, &fault{
			http.StatusBadRequest, "InvalidParameter.DurationSeconds",
			fmt.Sprintf("The Min/Max value of DurationSeconds is %ds/%ds.", minLife, maxLife), true,
		}
	}
	if len(s.Policy) > maxSessionPolicy {
		return s, 0, errPolicySize
	}
	if s.Policy != "" {
		if _, err := parsePolicy(s.Policy, identityPolicy); err != nil {
			return s, 0, errPolicyGrammar
		}
	}
	return s, time.Duration(seconds) * time.Second, nil
}

// validExternalID holds for 2 to 1224 of the documented characters.
func validExternalID(id string) bool {
	return len(id) >= 2 && len(id) <= 1224 && strings.IndexFunc(id, func(r rune) bool {
		return !strings.ContainsRune(letters+digits+"_+=,.@:/-", r)
	}) < 0
}

// splitRAM takes acs:ram::ACCOUNT:RESOURCE apart.
func splitRAM(arn string) (account, resource string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "acs:ram::")
	if !ok {
		return "", "", false
	}
	account, resource, ok = strings.Cut(rest, ":")
	number := strings.IndexFunc(account, func(r rune) bool { return r < '0' || r > '9' }) < 0
	return account, resource, ok && number && account != "" && len(account) <= 20
}

type assumedRoleUser struct {
	Arn           string `json:"Arn"`
	AssumedRoleID string `json:"AssumedRoleId"`
}

type assumeReply struct {
	RequestID       string          `json:"RequestId"`
	AssumedRoleUser assumedRoleUser `json:"AssumedRoleUser"`
	Credentials     stsCredentials  `json:"Credentials"`
	OIDCTokenInfo   *tokenInfo      `json:"OIDCTokenInfo,omitempty"`
}

func (e *Emulator) granted(c stsCall, s session, life time.Duration) assumeReply {
	arn := ramARN(s.Account, "role/"+s.Role)
	return assumeReply{
		RequestID:       c.requestID,
		AssumedRoleUser: assumedRoleUser{Arn: arn + "/" + s.Name, AssumedRoleID: number(arn) + ":" + s.Name},
		Credentials:     e.begin(s, life),
	}
}

// assumeRole wants both sides to agree: the role trusts the caller, and the caller's policies allow it. The real STS refuses
// the key of an account's root; ours is often the only key there is.
func (e *Emulator) assumeRole(c stsCall) (any, error) {
	s, life, err := c.wanted()
	if err != nil {
		return nil, err
	}
	external := c.params["ExternalId"]
	if external != "" && !validExternalID(external) {
		return nil, wronglyFormed("ExternalId")
	}
	r, ok := e.directory.role(s.Account, s.Role)
	q := question{action: "sts:AssumeRole", resource: c.params["RoleArn"], principals: c.caller.principals(), at: c.at}
	if c.caller.judge(q) != allowed || ok && !e.directory.open && !r.trusts(c.caller, external) {
		return nil, errMayNotAssume
	}
	if !ok {
		return nil, errNoRole
	}
	return e.granted(c, s, life), nil
}

type callerReply struct {
	IdentityType string `json:"IdentityType"`
	AccountID    string `json:"AccountId"`
	RequestID    string `json:"RequestId"`
	PrincipalID  string `json:"PrincipalId"`
	UserID       string `json:"UserId,omitempty"`
	RoleID       string `json:"RoleId,omitempty"`
	Arn          string `json:"Arn"`
}

// getCallerIdentity is open to everybody, as it only tells who one is.
func (e *Emulator) getCallerIdentity(c stsCall) (any, error) {
	id := c.caller
	reply := callerReply{IdentityType: string(id.kind), AccountID: id.account, RequestID: c.requestID, Arn: id.arn()}
	switch id.kind {
	case kindRole:
		reply.RoleID = number(ramARN(id.account, "role/"+id.name))
		reply.PrincipalID = reply.RoleID + ":" + id.session
	case kindUser:
		reply.UserID = number(id.arn())
		reply.PrincipalID = reply.UserID
	default:
		reply.UserID, reply.PrincipalID = id.account, id.account
	}
	return reply, nil
}
