package emulator

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

var (
	errTokenInvalid  = &fault{http.StatusBadRequest, "AuthenticationFail.OIDCToken.Invalid", "This OIDC Token is invalid.", true}
	errTokenOld      = &fault{http.StatusBadRequest, "AuthenticationFail.OIDCToken.Expired", "This OIDC Token is expired.", true}
	errNoProvider    = &fault{http.StatusNotFound, "EntityNotExist.OIDCProvider", "The specified OIDC Provider not exists.", true} // not documented
	errTokenAudience = &fault{http.StatusBadRequest, "AuthenticationFail.OIDCToken.AudienceNotMatch", "The audience of the OIDC Token does not match.", true}
	errTokenIssuer   = &fault{http.StatusBadRequest, "AuthenticationFail.OIDCToken.IssuerNotMatch", "The issuer of the OIDC Token does not match.", true}
)

// accepts tells whether a token is meant for us: for sts.aliyuncs.com, unless the provider says otherwise.
func (p oidcProvider) accepts(audience texts) bool {
	wanted := p.audiences
	if len(wanted) == 0 {
		wanted = []string{"sts.aliyuncs.com"}
	}
	return slices.ContainsFunc(audience, func(a string) bool { return slices.Contains(wanted, a) })
}

// tokenClaims are the parts of a JWT that decide.
type tokenClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience texts    `json:"aud"`
	Expires  *float64 `json:"exp"`
	Issued   float64  `json:"iat"`
}

type tokenInfo struct {
	Subject        string `json:"Subject"`
	Issuer         string `json:"Issuer"`
	ClientIDs      string `json:"ClientIds"`
	ExpirationTime string `json:"ExpirationTime"`
	IssuanceTime   string `json:"IssuanceTime,omitempty"`
}

// readToken reads the claims of a JWT. Its signature is not verified: there is no issuer to ask for keys, and tests make
// their tokens themselves. The text is taken as it is; clients send their token file untrimmed, so space around it goes.
func readToken(text string) (tokenClaims, bool) {
	var claims tokenClaims
	parts := strings.Split(strings.TrimSpace(text), ".")
	if len(text) > 20000 || len(parts) != 3 || parts[2] == "" {
		return claims, false
	}
	var head struct {
		Alg string `json:"alg"`
	}
	for i, into := range []any{&head, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[i], "="))
		if err != nil || json.Unmarshal(raw, into) != nil {
			return claims, false
		}
	}
	return claims, head.Alg != "" && claims.Issuer != "" && claims.Subject != "" && claims.Expires != nil
}

// assumeRoleWithOIDC takes a token instead of a signature. It expires by the clock that tests move.
func (e *Emulator) assumeRoleWithOIDC(c stsCall) (any, error) {
	s, life, err := c.wanted()
	if err != nil {
		return nil, err
	}
	account, resource, ok := splitRAM(c.params["OIDCProviderArn"])
	name, isProvider := strings.CutPrefix(resource, "oidc-provider/")
	if !ok || !isProvider || name == "" {
		return nil, wronglyFormed("OIDCProviderArn")
	}
	provider, ok := e.directory.accounts[account].providers[name]
	if !ok && !e.directory.open {
		return nil, errNoProvider
	}
	claims, ok := readToken(c.params["OIDCToken"])
	switch {
	case !ok:
		return nil, errTokenInvalid
	case provider.issuer != "" && claims.Issuer != provider.issuer:
		return nil, errTokenIssuer
	case !provider.accepts(claims.Audience):
		return nil, errTokenAudience
	case float64(c.at.now.Unix()) >= *claims.Expires:
		return nil, errTokenOld
	}
	r, ok := e.directory.role(s.Account, s.Role)
	if !ok {
		return nil, errNoRole
	}
	if account != s.Account || !e.directory.open && !r.trustsToken(name, claims.Subject) {
		return nil, errMayNotAssume
	}
	reply := e.granted(c, s, life)
	reply.OIDCTokenInfo = claims.info()
	return reply, nil
}

// trustsToken tells whether a subject that the provider vouches for may take on the role.
func (r role) trustsToken(provider, subject string) bool {
	return slices.ContainsFunc(r.oidc, func(t oidcTrust) bool {
		return t.provider == provider && (len(t.subjects) == 0 || matchesAny(t.subjects, subject))
	})
}

func (t tokenClaims) info() *tokenInfo {
	info := &tokenInfo{
		Subject: t.Subject, Issuer: t.Issuer, ClientIDs: strings.Join(t.Audience, ","),
		ExpirationTime: stamp(time.Unix(int64(min(*t.Expires, 1<<37)), 0)),
	}
	if t.Issued > 0 {
		info.IssuanceTime = stamp(time.Unix(int64(min(t.Issued, 1<<37)), 0))
	}
	return info
}
