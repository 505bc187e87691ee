package emulator

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
)

// claimV1 reads the parameters of an HMAC-SHA1 request. What a signature consists of is IncompleteSignature
// when absent, the other common parameters have the gateway's MissingX (the reference leaves that open). The nonce is
// required although the KMS page omits it (disputed): every SDK sends one, and replays are refused by it.
func claimV1(r *request, act action) (claim, error) {
	p := r.params
	if p["Signature"] == "" || p["SignatureMethod"] == "" || p["SignatureVersion"] != "1.0" {
		return claim{}, errIncomplete
	}
	if p["SignatureMethod"] != "HMAC-SHA1" {
		return claim{}, errSignatureMethod
	}
	for _, name := range []string{"AccessKeyId", "Timestamp", "SignatureNonce"} {
		if p[name] == "" {
			return claim{}, missing(name)
		}
	}
	return claim{
		keyID:     p["AccessKeyId"],
		token:     p["SecurityToken"],
		date:      p["Timestamp"],
		nonce:     p["SignatureNonce"],
		signature: p["Signature"],
		sign:      func(secret string) string { return signV1(secret, stringToSignV1(r.method, p, nil)) },
		echo:      func() string { return echoV1(r.method, p, act) },
	}, nil
}

// stringToSignV1 covers every parameter, of query and form alike, but the signature.
func stringToSignV1(method string, p params, hidden func(string) bool) string {
	signed := make(params, len(p))
	for name, value := range p {
		if name != "Signature" {
			signed[name] = value
		}
	}
	return method + "&" + encode("/") + "&" + encode(canonical(signed, hidden))
}

// echoV1 is the string to sign without secrets: the values of plaintexts and whatever the action does not know are "***".
func echoV1(method string, p params, act action) string {
	shown := make(params, len(p))
	for name, value := range p {
		if slices.Contains(plaintexts, name) {
			value = "***"
		}
		shown[name] = value
	}
	text := stringToSignV1(method, shown, act.hides)
	return strings.NewReplacer("%252A%252A%252A", "***", "%2A%2A%2A", "***").Replace(text)
}

func signV1(secret, text string) string {
	mac := hmac.New(sha1.New, []byte(secret+"&"))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
