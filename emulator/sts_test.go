package emulator

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const appRole = "acs:ram::" + ours + ":role/app"

// sts calls an action of STS as somebody.
func (b *bench) sts(who person, action string, pairs ...string) (outcome, body string) {
	b.t.Helper()
	return b.as(who, action, append(pairs, "Version", stsVersion)...)
}

// assume takes on a role and returns the person that one is then.
func (b *bench) assume(who person, arn string, pairs ...string) person {
	b.t.Helper()
	got, body := b.sts(who, "AssumeRole", append([]string{"RoleArn", arn, "RoleSessionName", "test"}, pairs...)...)
	if got != "200 " {
		b.t.Fatalf("AssumeRole = %s, want 200", body)
	}
	return sessionOf(b.t, body)
}

func sessionOf(t *testing.T, body string) person {
	t.Helper()
	var reply assumeReply
	decode(t, body, &reply)
	c := reply.Credentials
	return person{keyID: c.AccessKeyID, secret: c.AccessKeySecret, token: c.SecurityToken}
}

func TestAssumeRole(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	b.create()
	_, body := b.sts(theReader, "AssumeRole", "RoleArn", appRole, "RoleSessionName", "test", "DurationSeconds", "900")
	var reply assumeReply
	decode(t, body, &reply)
	if got, want := reply.AssumedRoleUser.Arn, appRole+"/test"; got != want {
		t.Errorf("Arn = %q, want %q", got, want)
	}
	if got, want := reply.Credentials.Expiration, "2026-01-02T03:19:05Z"; got != want {
		t.Errorf("Expiration = %q, want %q", got, want)
	}
	app := sessionOf(t, body)
	for _, tc := range []struct {
		who  person
		want string
	}{
		{app, "200 "},
		{person{app.keyID, app.secret, ""}, "400 MissingSecurityToken"},
		{person{app.keyID, app.secret, app.token + "x"}, "400 InvalidSecurityToken.Malformed"},
		{person{app.keyID, app.secret, "A" + app.token[1:]}, "400 InvalidSecurityToken.Malformed"},
		{person{app.keyID, app.secret, b.assume(theReader, appRole).token}, "400 InvalidSecurityToken.MismatchWithAccessKey"},
		{person{theReader.keyID, theReader.secret, app.token}, "400 InvalidSecurityToken.MismatchWithAccessKey"},
		{person{app.keyID, "wrong", app.token}, "400 SignatureDoesNotMatch"},
		{person{"STS.none", "x", ""}, "400 MissingSecurityToken"},
	} {
		if got, _ := b.as(tc.who, "GetSecretValue", "SecretName", "s"); got != tc.want {
			t.Errorf("%.8s: GetSecretValue = %s, want %s", tc.who.keyID, got, tc.want)
		}
	}
	if got, _ := b.as(app, "DescribeSecret", "SecretName", "s"); got != denied403 {
		t.Errorf("beyond the role's policy = %s, want %s", got, denied403)
	}
	b.pass(15 * time.Minute)
	if got, want := first(b.as(app, "GetSecretValue", "SecretName", "s")), "400 InvalidSecurityToken.Expired"; got != want {
		t.Errorf("after its life = %s, want %s", got, want)
	}
}

func first(a, _ string) string { return a }

func TestSessionPolicyLimits(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	b.create()
	none := `{"Version":"1","Statement":[{"Effect":"Allow","Action":"kms:DescribeSecret","Resource":"*"}]}`
	limited := b.assume(theReader, appRole, "Policy", none)
	for _, action := range []string{"GetSecretValue", "DescribeSecret"} {
		if got, _ := b.as(limited, action, "SecretName", "s"); got != denied403 {
			t.Errorf("%s = %s, want %s", action, got, denied403)
		}
	}
	b = newBench(t)
	b.create()
	limited = b.assume(theRoot, "acs:ram::"+ours+":role/any", "Policy", none)
	if got, _ := b.as(limited, "GetSecretValue", "SecretName", "s"); got != denied403 {
		t.Errorf("without a policy file = %s, want %s", got, denied403)
	}
	if got, _ := b.as(limited, "DescribeSecret", "SecretName", "s"); got != "200 " {
		t.Errorf("within the limit = %s, want 200", got)
	}
}

func TestAssumeRoleRefusals(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	for _, tc := range []struct {
		who   person
		pairs []string
		want  string
	}{
		{theReader, []string{"RoleSessionName", "x1"}, "400 MissingRoleArn"},
		{theReader, []string{"RoleArn", "app", "RoleSessionName", "x1"}, "400 InvalidParameter.RoleArn"},
		{theReader, []string{"RoleArn", appRole, "RoleSessionName", "x"}, "400 InvalidParameter.RoleSessionName"},
		{theReader, []string{"RoleArn", appRole, "RoleSessionName", "x1", "DurationSeconds", "899"}, "400 InvalidParameter.DurationSeconds"},
		{theReader, []string{"RoleArn", appRole, "RoleSessionName", "x1", "Policy", "{}"}, "400 InvalidParameter.PolicyGrammar"},
		{theReader, []string{"RoleArn", appRole, "RoleSessionName", "x1", "Policy", strings.Repeat(" ", 2049)}, "400 InvalidParameter.PolicySize"},
		{theReader, []string{"RoleArn", "acs:ram::" + ours + ":role/none", "RoleSessionName", "x1"}, "404 EntityNotExist.Role"},
		{theReader, []string{"RoleArn", "acs:ram::" + ours + ":role/closed", "RoleSessionName", "x1"}, "403 NoPermission"},
		{theOther, []string{"RoleArn", appRole, "RoleSessionName", "x1"}, "403 NoPermission"},
	} {
		if got, _ := b.sts(tc.who, "AssumeRole", tc.pairs...); got != tc.want {
			t.Errorf("%q = %s, want %s", tc.pairs, got, tc.want)
		}
	}
}

func TestGetCallerIdentity(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	for _, tc := range []struct {
		who       person
		kind, arn string
	}{
		{theRoot, "Account", "acs:ram::" + ours + ":root"},
		{theReader, "RAMUser", "acs:ram::" + ours + ":user/reader"},
		{b.assume(theReader, appRole), "AssumedRoleUser", "acs:ram::" + ours + ":assumed-role/app/test"},
	} {
		_, body := b.sts(tc.who, "GetCallerIdentity")
		var got callerReply
		decode(t, body, &got)
		if got.IdentityType != tc.kind || got.Arn != tc.arn || got.AccountID != ours {
			t.Errorf("identity = %+v, want %s %s", got, tc.kind, tc.arn)
		}
	}
}

// jwt is a token that nobody signed.
func jwt(claims map[string]any) string {
	text, _ := json.Marshal(claims)
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"RS256"}`)) + "." + part(text) + "." + part([]byte("signature"))
}

func TestAssumeRoleWithOIDC(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	b.create()
	good := map[string]any{"iss": "https://oidc.test", "sub": "system:serviceaccount:shop:app", "aud": "sts.aliyuncs.com", "exp": b.now().Unix() + 60}
	with := func(name string, value any) string {
		claims := maps.Clone(good)
		claims[name] = value
		return jwt(claims)
	}
	send := func(token string, pairs ...string) *httptest.ResponseRecorder {
		p := given("Action", "AssumeRoleWithOIDC", "Version", stsVersion, "Format", "JSON", "RoleArn", appRole,
			"RoleSessionName", "pod", "OIDCProviderArn", "acs:ram::"+ours+":oidc-provider/cluster", "OIDCToken", token)
		maps.Copy(p, given(pairs...))
		return b.post(p)
	}
	for _, tc := range []struct{ token, want string }{
		{jwt(good) + "\n", "200 "},
		{with("aud", []string{"a", "sts.aliyuncs.com"}), "200 "},
		{with("aud", "a"), "400 AuthenticationFail.OIDCToken.AudienceNotMatch"},
		{with("iss", "https://other.test"), "400 AuthenticationFail.OIDCToken.IssuerNotMatch"},
		{with("exp", b.now().Unix()), "400 AuthenticationFail.OIDCToken.Expired"},
		{with("exp", "soon"), "400 AuthenticationFail.OIDCToken.Invalid"},
		{with("sub", "system:serviceaccount:other:app"), "403 NoPermission"},
		{"a.b", "400 AuthenticationFail.OIDCToken.Invalid"},
		{"", "400 MissingOIDCToken"},
	} {
		w := send(tc.token)
		if got := code(t, w.Code, w.Body.String()); got != tc.want {
			t.Errorf("%s = %s, want %s", tc.token, got, tc.want)
		}
	}
	w := send(jwt(good), "OIDCProviderArn", "acs:ram::"+ours+":oidc-provider/none")
	if got, want := code(t, w.Code, w.Body.String()), "404 EntityNotExist.OIDCProvider"; got != want {
		t.Errorf("unknown provider = %s, want %s", got, want)
	}
	w = send(jwt(good))
	if got, _ := b.as(sessionOf(t, w.Body.String()), "GetSecretValue", "SecretName", "s"); got != "200 " {
		t.Errorf("GetSecretValue = %s, want 200", got)
	}
}

func TestV3Session(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create()
	who := b.assume(theRoot, appRole)
	sign := func() *http.Request {
		r := b.signedV3Request("GetSecretValue", given("SecretName", "s"), nil)
		r.Header.Set("X-Acs-Security-Token", who.token)
		r.Header.Set("X-Acs-Accesskey-Id", who.keyID)
		names := []string{"content-type", "host", "x-acs-accesskey-id", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-security-token", "x-acs-signature-nonce", "x-acs-version"}
		req := &request{method: http.MethodPost, host: "kms.test", header: r.Header, query: given("SecretName", "s")}
		r.Header.Set("Authorization", algorithmV3+" Credential="+who.keyID+",SignedHeaders="+strings.Join(names, ";")+
			",Signature="+signV3(who.secret, stringToSignV3(req.canonicalV3(names, hexSHA256(nil)))))
		return r
	}
	if w := b.send(sign(), "GetSecretValue"); w.Code != http.StatusOK {
		t.Errorf("GetSecretValue = %d %s, want 200", w.Code, w.Body)
	}
	r := sign()
	r.Header.Set("X-Acs-Action", "DescribeSecret")
	w := b.send(r, "DescribeSecret")
	if got, want := code(t, w.Code, w.Body.String()), "400 SignatureDoesNotMatch"; got != want || strings.Contains(w.Body.String(), who.token) {
		t.Errorf("answer = %s, want %s without the token: %s", got, want, w.Body)
	}
}

func TestSessionLife(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Emulator = New(Config{Now: b.now, SessionLife: 3 * time.Second})
	b.create()
	who := b.assume(theRoot, appRole)
	b.pass(2 * time.Second)
	if got, _ := b.as(who, "GetSecretValue", "SecretName", "s"); got != "200 " {
		t.Errorf("after 2 s = %s, want 200", got)
	}
	if err := b.Advance(time.Second); err != nil {
		t.Fatal(err)
	}
	if got, want := first(b.as(who, "GetSecretValue", "SecretName", "s")), "400 InvalidSecurityToken.Expired"; got != want {
		t.Errorf("after 3 s = %s, want %s", got, want)
	}
}
