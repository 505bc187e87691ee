package emulator

import (
	"crypto/hmac"
	"maps"
	"net/http"
	"net/url"
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

// claim is what a request says of its caller, in either scheme, with the signature the holder of our key would have made.
type claim struct {
	keyID, date, nonce string
	signature, want    string
	echo               string // what we signed, as told to a caller whose signature differs
}

// authenticate believes a request or says why not. The nonce is taken last: a request that is refused for another reason
// must not use it up.
func (e *Emulator) authenticate(r *request, act action) error {
	if r.params["SecurityToken"] != "" || r.header.Get("X-Acs-Security-Token") != "" {
		return errSecurityToken // there are no sessions, so no token is ours
	}
	read := claimV1
	if r.isV3() {
		read = claimV3
	}
	c, err := read(r, act, e.keySecret)
	if err != nil {
		return err
	}
	if c.keyID != e.keyID {
		return errAccessKey
	}
	at, err := time.Parse(timeLayout, c.date)
	if err != nil || len(c.date) != len(timeLayout) { // Parse takes fractions that the layout does not have
		return errTimestampFormat
	}
	now := e.store.now()
	if at.Before(now.Add(-maxSkew)) || at.After(now.Add(maxSkew)) {
		return errTimestampExpired
	}
	// The texts are compared, not what they decode to: another spelling of the same bytes is a changed signature.
	if !hmac.Equal([]byte(c.signature), []byte(c.want)) {
		return mismatch(c.echo)
	}
	if !e.store.useNonce(c.nonce, at.Add(maxSkew)) {
		return errNonceUsed
	}
	return nil
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
	return !slices.Contains(common, name) && !slices.Contains(a.required, name) &&
		!slices.Contains(a.optional, name) && !slices.Contains(a.unbuilt, name)
}
