package kms

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

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
	Expired        Kind = "credentials expired"
	NoCredentials  Kind = "no credentials"
	NoRegion       Kind = "no region"
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

	cause   error         // of our own, for decisions
	present bool          // something that was asked before has answered
	status  int           // of a plain exchange that was answered, such as with metadata; 0 without an answer
	step    string        // on the way to the secret, such as taking on a role; empty for reading it
	advice  string        // in the place of the kind's hint
	caller  identity      // who was refused
	account string        // of the caller, where the answer names it
	secrets int           // that failed alike, when this stands for more than one
	wait    time.Duration // that the answer asks for before another try
	ahead   time.Duration // how far our clock is ahead of the answer's
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
	what := fmt.Sprintf("secret %q", e.ID.Name)
	if e.secrets > 1 {
		what = fmt.Sprintf("%d secrets", e.secrets)
	}
	text := "reading " + what + where + ": "
	if e.step != "" {
		text += e.step + ": "
	}
	text += string(e.Kind)
	if len(facts) > 0 {
		text += " (" + strings.Join(facts, ", ") + ")"
	}
	if hint := e.hint(); hint != "" {
		text += ": " + hint
	}
	return text
}

// Place is what an outage is of: a login, or KMS in a region. It is the same however
// the outage shows.
func (e *Error) Place() string {
	switch {
	case e.step != "":
		return e.step
	case e.Region != "":
		return "KMS in " + e.Region
	default:
		return "KMS"
	}
}

// Unwrap gives what callers within this package decide by.
func (e *Error) Unwrap() error { return e.cause }

// Outage tells whether the failure is of the service or the way to it, and not of
// the request: time may mend it.
func (e *Error) Outage() bool { return e.Kind == Throttled || e.Kind == Unavailable }

// Throttled tells whether the quota of the account was used up.
func (e *Error) Throttled() bool { return e.Kind == Throttled }

// mayHaveExpired tells whether fresh credentials might help. KMS says of some expired
// sessions that their access key does not exist.
func (e *Error) mayHaveExpired() bool {
	return e.Kind == Expired || strings.HasPrefix(e.Code, "InvalidSecurityToken") || strings.HasPrefix(e.Code, "InvalidAccessKeyId")
}

func (e *Error) code() string {
	if e.Code != "" {
		return e.Code
	}
	return strings.ReplaceAll(string(e.Kind), " ", "_")
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
	case has("InvalidSecurityToken.Expired", "AuthenticationFail.OIDCToken.Expired"):
		return Expired
	case has("AuthenticationFail", "EntityNotExist", "SignatureDoesNotMatch", "IncompleteSignature", "InvalidAccessKeyId", "InvalidSecurityToken", "MissingSecurityToken"):
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
	codePattern    = regexp.MustCompile(`^[A-Z][A-Za-z]*(\.[A-Za-z]+)*$`)
	accountPattern = regexp.MustCompile(`^[0-9]+$`)
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

// Absent tells whether KMS says that there is no such secret, stage or version.
func (e *Error) Absent() bool { return e.Kind == NotFound }

// Reason is the kind, in words.
func (e *Error) Reason() string { return string(e.Kind) }

// serverAnswered tells whether something was there that could not answer now, or would
// not answer so often: as opposed to nobody, or a server that knows no such thing.
func (e *Error) serverAnswered() bool {
	return e.status >= 500 || e.status == 429 || e.present && e.status != http.StatusNotFound
}

// Cause is the same for failures of one cause that would hit any secret, such as a
// login that fails; it is empty where the failure is of the one secret.
func (e *Error) Cause() string {
	ofKMS := e.RequestID != "" // else whatever answered stands before it, such as a proxy's page
	switch {
	case e.step != "", e.Kind == Invalid && !ofKMS:
	case e.Kind == NotFound, e.Kind == Deleting, e.Kind == Denied, e.Kind == Invalid:
		return ""
	}
	return strings.Join([]string{string(e.Kind), e.Region, e.ID.Auth, e.step, e.detail, e.Code}, "\n")
}

// ForMany is e as the failure of a number of secrets.
func (e *Error) ForMany(secrets int) error {
	many := *e
	many.secrets = secrets
	return &many
}
