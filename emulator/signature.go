package emulator

import (
	"crypto/hmac"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	timeLayout = "2006-01-02T15:04:05Z"
	maxSkew    = 15 * time.Minute // a request is good this long before and after its timestamp
)

// common are the parameters of every V1 request.
var common = []string{
	"AccessKeyId", "Action", "BearerToken", "Format", "RegionId", "Signature", "SignatureMethod", "SignatureNonce",
	"SignatureType", "SignatureVersion", "Timestamp", "Version",
}

// plaintexts are the parameters that hold what nobody else is to see.
var plaintexts = []string{"SecretData", "Plaintext"}

// item is a parameter of a list of a tag action.
var item = regexp.MustCompile(`^(ResourceId|TagKey|Tag)\.[0-9]+(\.Key|\.Value)?$`)

// claim is what a request says of its caller, in either scheme.
type claim struct {
	keyID, token, date, nonce, signature string
	broken                               bool                       // the body is not the one that was signed
	sign                                 func(secret string) string // what the holder of the secret would have signed it with
	echo                                 func() string              // what we signed, as told to a caller whose signature differs
}

// authenticate believes a request or says why not. The nonce is taken last: a request that is refused for another reason
// must not use it up.
func (e *Emulator) authenticate(r *request, op operation) (identity, error) {
	if op.unsigned {
		return identity{}, nil
	}
	read := claimV1
	if r.isV3() {
		read = claimV3
	}
	c, err := read(r, op.action)
	if err != nil {
		return identity{}, err
	}
	caller, secret, err := e.holder(c.keyID, c.token)
	if err != nil {
		return identity{}, err
	}
	at, err := time.Parse(timeLayout, c.date)
	if err != nil || len(c.date) != len(timeLayout) { // Parse takes fractions that the layout does not have
		return identity{}, errTimestampFormat
	}
	now := e.clock.real()
	if at.Before(now.Add(-maxSkew)) || at.After(now.Add(maxSkew)) {
		return identity{}, errTimestampExpired
	}
	// The texts are compared, not what they decode to: another spelling of the same bytes is a changed signature.
	if c.broken || !hmac.Equal([]byte(c.signature), []byte(c.sign(secret))) {
		return identity{}, mismatch(c.echo())
	}
	if !e.nonces.use(c.keyID+"\x00"+c.nonce, at.Add(maxSkew), now) {
		return identity{}, errNonceUsed
	}
	return caller, nil
}

// mismatch tells the caller what was signed, as the gateway does: SDKs compare that text with their own and then know
// whether the key or the composition is wrong.
func mismatch(echo string) *fault {
	return &fault{http.StatusBadRequest, "SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:" + echo, true}
}

// encode is the percent-encoding of both schemes: RFC 3986, only A-Z a-z 0-9 - _ . ~ as themselves.
func encode(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// canonical sorts and encodes parameters; those that hidden accepts are shown as "***", name and all.
func canonical(p params, hidden func(name string) bool) string {
	pairs := make([]string, 0, len(p))
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if hidden != nil && hidden(name) {
			pairs = append(pairs, "***")
			continue
		}
		pairs = append(pairs, encode(name)+"="+encode(p[name]))
	}
	return strings.Join(pairs, "&")
}

// hides tells whether a parameter must not come back in an error. The gateway echoes all, SecretData too;
// we don't, because such answers end up in logs. What is no parameter of the action is hidden with its
// name: it may be the rest of a value that somebody forgot to encode.
func (a action) hides(name string) bool {
	if item.MatchString(name) {
		name, _, _ = strings.Cut(name, ".")
	}
	return !slices.Contains(common, name) && !slices.Contains(a.required, name) &&
		!slices.Contains(a.optional, name) && !slices.Contains(a.unbuilt, name)
}
