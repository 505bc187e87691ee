package emulator

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

const algorithmV3 = "ACS3-HMAC-SHA256"

// signedV3 are the headers we act on, so each must be under the signature.
var signedV3 = []string{"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"}

// sessionV3 come with the key of a session, and are under the signature then.
var sessionV3 = []string{"x-acs-accesskey-id", "x-acs-security-token"}

func (r *request) isV3() bool {
	return strings.HasPrefix(r.header.Get("Authorization"), algorithmV3)
}

// claimV3 reads the headers of an ACS3-HMAC-SHA256 request.
func claimV3(r *request, act action) (claim, error) {
	auth, ok := parseAuthorization(r.header.Get("Authorization"))
	if !ok {
		return claim{}, errIncomplete
	}
	names := strings.Split(auth["SignedHeaders"], ";")
	for _, name := range signedV3 {
		if !slices.Contains(names, name) || r.headerValue(name) == "" {
			return claim{}, errIncomplete
		}
	}
	for _, name := range sessionV3 {
		if r.headerValue(name) != "" && !slices.Contains(names, name) {
			return claim{}, errIncomplete
		}
	}
	// The type of a body decides whether it holds parameters.
	if len(r.body) > 0 && !slices.Contains(names, "content-type") {
		return claim{}, errIncomplete
	}
	hash := hexSHA256(r.body)
	text := r.canonicalV3(names, hash)
	return claim{
		keyID:     auth["Credential"],
		token:     cmp.Or(r.header.Get("X-Acs-Security-Token"), r.params["SecurityToken"]),
		date:      r.header.Get("X-Acs-Date"),
		nonce:     r.header.Get("X-Acs-Signature-Nonce"),
		signature: auth["Signature"],
		broken:    r.header.Get("X-Acs-Content-Sha256") != hash,
		sign:      func(secret string) string { return signV3(secret, stringToSignV3(text)) },
		echo:      func() string { return echoV3(r, act, text) },
	}, nil
}

// parseAuthorization takes the header apart. The names of the signed headers must come as the scheme wants them, in
// lower case and sorted; then they can be used as they are.
func parseAuthorization(header string) (map[string]string, bool) {
	rest, ok := strings.CutPrefix(header, algorithmV3+" ")
	if !ok {
		return nil, false
	}
	auth := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if _, again := auth[key]; again || value == "" || !slices.Contains([]string{"Credential", "SignedHeaders", "Signature"}, key) {
			return nil, false
		}
		auth[key] = value
	}
	names := strings.Split(auth["SignedHeaders"], ";")
	sorted := slices.IsSorted(names) && len(slices.Compact(slices.Clone(names))) == len(names)
	return auth, len(auth) == 3 && sorted && strings.ToLower(auth["SignedHeaders"]) == auth["SignedHeaders"]
}

func (r *request) headerValue(name string) string {
	if name == "host" {
		return r.host // net/http takes it out of the header map
	}
	return strings.TrimSpace(strings.Join(r.header.Values(name), ","))
}

// canonicalV3 is the canonical request. The documents encode the names of query parameters, the DARA client only their
// values: for the names in use that is the same.
func (r *request) canonicalV3(names []string, hash string) string {
	var headers strings.Builder
	for _, name := range names {
		headers.WriteString(name + ":" + r.headerValue(name) + "\n")
	}
	return strings.Join([]string{
		r.method, "/", canonical(r.query, nil), headers.String(), strings.Join(names, ";"), hash,
	}, "\n")
}

func stringToSignV3(canonicalRequest string) string {
	return algorithmV3 + "\n" + hexSHA256([]byte(canonicalRequest))
}

// echoV3 tells the string to sign and the canonical request behind it. Both are or hold hashes over the parameters, from
// which a short secret could be guessed: a request with anything to hide gets neither.
func echoV3(r *request, act action, canonicalRequest string) string {
	if r.header.Get("X-Acs-Security-Token") != "" {
		return "***"
	}
	for name := range r.params {
		if slices.Contains(plaintexts, name) || act.hides(name) {
			return "***"
		}
	}
	return stringToSignV3(canonicalRequest) + " server canonical request is:" + canonicalRequest
}

func signV3(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
