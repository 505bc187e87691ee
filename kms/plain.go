package kms

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// exchange does one plain request, as logins need them: no redirects, a capped
// body, and errors that quote nothing.
func (c *Client) exchange(r *http.Request, action string) ([]byte, *Error) {
	start := time.Now()
	body, err := c.plain(r)
	c.report(action, start, err)
	return body, err
}

func (c *Client) plain(r *http.Request) ([]byte, *Error) {
	response, err := c.transport.RoundTrip(r)
	if err != nil {
		return nil, classify(r.Context(), err, answer{})
	}
	defer response.Body.Close()
	got := answer{response.StatusCode, response.Header}
	if got.status >= 300 && got.status < 400 {
		return nil, classify(r.Context(), errRedirect, got)
	}
	body, err := io.ReadAll(&cappedBody{body: response.Body, left: maxBody})
	if err != nil {
		return nil, classify(r.Context(), err, got)
	}
	if got.status != http.StatusOK {
		var refused struct{ Code, RequestID string }
		_ = json.Unmarshal(body, &refused) // what is no error of the API has no code
		e := refusal(got.status, refused.Code, refused.RequestID)
		e.status = got.status
		e.heed(got.header)
		return nil, e
	}
	return body, nil
}

// handedOut is the form in which STS, metadata and credential URIs hand out a
// session.
type handedOut struct {
	AccessKeyID     string `json:"AccessKeyId"`
	AccessKeySecret string
	SecurityToken   string
	Expiration      string
}

// credentials checks what was handed out.
func (h handedOut) credentials(what string) (Credentials, *Error) {
	expires, err := time.Parse(time.RFC3339, h.Expiration)
	if err != nil || h.AccessKeyID == "" || h.AccessKeySecret == "" || h.SecurityToken == "" {
		return Credentials{}, invalid("an answer without AccessKeyId, AccessKeySecret, SecurityToken or Expiration")
	}
	if !expires.After(time.Now()) { // whoever hands it out is late, or our clock is wrong
		return Credentials{}, &Error{Kind: Unavailable, detail: "a session that has ended already", advice: "check this machine's clock"}
	}
	keys := stsToken(h.AccessKeyID, h.AccessKeySecret, h.SecurityToken)
	keys.what, keys.expires = what, expires
	return keys, nil
}

// decodeHandedOut reads a session that is a whole body.
func decodeHandedOut(body []byte, what string) (Credentials, *Error) {
	var h handedOut
	if json.Unmarshal(body, &h) != nil { // its text may quote the body
		return Credentials{}, invalid("an answer that is not JSON")
	}
	keys, err := h.credentials(what)
	keys.handedOut = true
	return keys, err
}
