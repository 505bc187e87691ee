package kms

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kmsrun/kmsrun/secret"
)

// Kind is what went wrong, as far as it decides what happens next.
type Kind string

// The kinds of failure.
const (
	NotFound       Kind = "not found"
	Deleting       Kind = "scheduled for deletion"
	Denied         Kind = "access denied"
	BadCredentials Kind = "credentials refused"
	Clock          Kind = "clock skew"
	Untrusted      Kind = "certificate not trusted"
	Throttled      Kind = "throttled"
	Unavailable    Kind = "unavailable"
	Invalid        Kind = "invalid answer"
)

// Error is a failed call. Its text never carries a URL, a signature, a token or
// anything of a body: the SDK's own texts hold all of these, so ours are made of
// the fields below and of words of this package.
type Error struct {
	Kind      Kind
	ID        secret.ID
	Region    string
	Code      string // KMS or gateway error code; empty where there was none
	RequestID string // of KMS, for a support ticket
	detail    string // our words for a failure without a code
}

func (e *Error) Error() string {
	facts := []string{}
	if e.detail != "" {
		facts = append(facts, e.detail)
	}
	if e.Code != "" {
		facts = append(facts, e.Code)
	}
	if e.RequestID != "" {
		facts = append(facts, "request "+e.RequestID)
	}
	where := ""
	if e.Region != "" {
		where = " in " + e.Region
	}
	text := fmt.Sprintf("reading secret %q%s: %s", e.ID.Name, where, e.Kind)
	if len(facts) > 0 {
		text += " (" + strings.Join(facts, ", ") + ")"
	}
	if hint := e.hint(); hint != "" {
		text += ": " + hint
	}
	return text
}

// Outage tells whether the failure is of the service or the way to it, and not of
// the request: time may mend it.
func (e *Error) Outage() bool { return e.Kind == Throttled || e.Kind == Unavailable }

func (e *Error) code() string {
	if e.Code != "" {
		return e.Code
	}
	return strings.ReplaceAll(string(e.Kind), " ", "_")
}

// hint says what a person can do.
func (e *Error) hint() string {
	switch e.Kind {
	case NotFound:
		return e.notFoundHint()
	case Deleting:
		return "restore it (RestoreSecret)"
	case Denied:
		if strings.HasPrefix(e.Code, "Rejected.") {
			return "enable the key that encrypts it (EnableKey)"
		}
		return "grant kms:GetSecretValue on " + e.arn() + ", and kms:Decrypt if a key of yours encrypts it"
	case BadCredentials:
		return credentialsHint(e.Code)
	case Clock:
		return "set this machine's clock: KMS allows 15 minutes of difference"
	case Untrusted:
		return "set kms.ca_file to the endpoint's CA"
	case Throttled:
		return "the account's quota of secret reads is used up"
	case Unavailable:
		return "check the region, the endpoint and the network"
	case Invalid:
		return "check that the endpoint is KMS, and what proxies stand before it"
	}
	return ""
}

func (e *Error) notFoundHint() string {
	what := "stage " + e.ID.Stage
	if e.ID.Version != "" {
		what = "version " + e.ID.Version
	}
	return fmt.Sprintf("check the name, the region, and that it has %s", what)
}

func (e *Error) arn() string {
	if e.ID.Account != "" {
		return e.ID.SecretName()
	}
	region := e.Region
	if region == "" {
		region = "*"
	}
	return "acs:kms:" + region + ":*:secret/" + e.ID.Name
}

func credentialsHint(code string) string {
	switch {
	case strings.HasPrefix(code, "InvalidAccessKeyId"):
		return "the access key id is unknown or disabled: check " + variables[0][0]
	case strings.HasPrefix(code, "InvalidSecurityToken"), strings.HasPrefix(code, "MissingSecurityToken"):
		return "the STS token is wrong or has expired: check " + variables[0][2]
	default:
		return "the access key secret is wrong: check " + variables[0][1]
	}
}

// kindOfCode sorts the error codes of KMS and of the gateway before it.
func kindOfCode(code string, status int) Kind {
	has := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if strings.HasPrefix(code, p) {
				return true
			}
		}
		return false
	}
	switch {
	case code == "Forbidden.ResourceNotFound":
		return NotFound // with HTTP status 404, in spite of its name
	case code == "Rejected.ResourceInDeleteWindow":
		return Deleting
	case has("Rejected.Throttling", "Throttling"), status == 429:
		return Throttled
	case has("Forbidden", "NoPermission", "Rejected.Disabled", "Rejected.Pending", "Rejected.Unavailable"):
		return Denied
	case has("SignatureDoesNotMatch", "IncompleteSignature", "InvalidAccessKeyId", "InvalidSecurityToken", "MissingSecurityToken"):
		return BadCredentials
	case has("InvalidTimeStamp", "IllegalTimestamp"):
		return Clock
	case has("ServiceUnavailable", "InternalFailure", "InternalError", "SignatureNonceUsed"), status >= 500:
		return Unavailable
	default:
		return Invalid
	}
}

var (
	codePattern    = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	requestPattern = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
)

// maxWord bounds a code or request id, in bytes; KMS's have up to 40.
const maxWord = 80

// clean keeps a word of an answer only if it looks like what it should be: an
// error body may come from anything that stands in the way.
func clean(word string, pattern *regexp.Regexp) string {
	if len(word) <= maxWord && pattern.MatchString(word) {
		return word
	}
	return ""
}

func invalid(detail string) *Error { return &Error{Kind: Invalid, detail: detail} }

// Reason is the kind, in words.
func (e *Error) Reason() string { return string(e.Kind) }
