package emulator

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// person is somebody with a key, and a token if it is a session's.
type person struct{ keyID, secret, token string }

var (
	theRoot   = person{keyID: "emulator", secret: "emulator-secret"}
	theReader = person{keyID: "reader", secret: "reader-secret"}
	theOther  = person{keyID: "other", secret: "other-secret"}
)

// signedBy is signed for another person than the bench's.
func (b *bench) signedBy(who person, action string, pairs ...string) params {
	p := b.signed(action, given(pairs...))
	delete(p, "Signature")
	p["AccessKeyId"] = who.keyID
	if who.token != "" {
		p["SecurityToken"] = who.token
	}
	maps.Copy(p, given(pairs...))
	p["Signature"] = signV1(who.secret, stringToSignV1(http.MethodPost, p, nil))
	return p
}

// as calls an action as somebody, and returns "STATUS CODE" and the body.
func (b *bench) as(who person, action string, pairs ...string) (outcome, body string) {
	b.t.Helper()
	w := b.post(b.signedBy(who, action, pairs...))
	return code(b.t, w.Code, w.Body.String()), w.Body.String()
}

// policyBench has the identities of testPolicies.
func policyBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	if err := b.LoadPolicy(file(t, testPolicies)); err != nil {
		t.Fatal(err)
	}
	return b
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	ours   = "1000000000000001"
	theirs = "2000000000000002"
)

const testPolicies = `
accounts:
  "1000000000000001":
    users:
      reader:
        access_keys: [{id: reader, secret: reader-secret}]
        policies:
          - Version: "1"
            Statement:
              - {Effect: Allow, Action: "kms:Get*", Resource: "acs:kms:*:*:secret/prod/*"}
              - {Effect: Allow, Action: [kms:ListSecrets], Resource: ["acs:kms:*:*:secret"]}
              - {Effect: Deny, Action: "kms:GetSecretValue", Resource: "*secret/prod/root-?"}
              - {Effect: Allow, Action: sts:AssumeRole, Resource: "acs:ram::*:role/*"}
              - {Effect: Allow, Action: kms:DescribeSecret, Resource: "*", Condition: {IpAddress: {acs:SourceIp: 10.0.0.0/8}}}
              - {Effect: Allow, Action: kms:RestoreSecret, Resource: "*", Condition: {DateLessThan: {acs:CurrentTime: "2026-01-03T00:00:00Z"}}}
    roles:
      app:
        trust:
          principals: ["acs:ram::1000000000000001:user/reader"]
          services: [ecs.aliyuncs.com]
          oidc: [{provider: cluster, subjects: ["system:serviceaccount:shop:*"]}]
        policies: [{"Version": "1", "Statement": [{"Effect": "Allow", "Action": "kms:GetSecretValue", "Resource": "*"}]}]
      closed: {}
    oidc_providers:
      cluster: {issuer: "https://oidc.test"}
  "2000000000000002":
    users:
      other:
        access_keys: [{id: other, secret: other-secret}]
        policies: [{Version: "1", Statement: [{Effect: Allow, Action: "kms:*", Resource: "*"}]}]
`

const denied403 = "403 Forbidden.NoPermission"

func TestPolicyDecides(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	for _, name := range []string{"prod/db", "prod/root-1", "test/db"} {
		b.must("CreateSecret", "SecretName", name, "VersionId", "v1", "SecretData", canary)
	}
	ourARN := "acs:kms:cn-hangzhou:" + ours + ":secret/"
	for _, tc := range []struct {
		who    person
		action string
		pairs  []string
		want   string
	}{
		{theReader, "GetSecretValue", given1("prod/db"), "200 "},
		{theReader, "GetSecretValue", given1(ourARN + "prod/db"), "200 "},
		{theReader, "GetSecretValue", given1("prod/none"), "404 Forbidden.ResourceNotFound"},
		{theReader, "GetSecretValue", given1("prod/root-1"), denied403},
		{theReader, "GetSecretValue", given1("test/db"), denied403},
		{theReader, "GetSecretValue", given1("test/none"), denied403},
		{theReader, "GetSecretValue", given1(ourARN + "test/db"), denied403},
		{theReader, "GetSecretValue", given1("acs:kms:cn-beijing:" + ours + ":secret/test/db"), denied403},
		{theReader, "GetSecretValue", given1("a b"), denied403},
		{theReader, "GetSecretPolicy", given1("test/db"), "400 Forbidden.NoPermission"},
		{theReader, "DescribeSecret", given1("prod/db"), denied403},
		{theReader, "RestoreSecret", given1("prod/db"), "409 Rejected.ResourceInUse"},
		{theReader, "ListSecrets", nil, "200 "},
		{theReader, "CreateSecret", []string{"SecretName", "prod/x", "VersionId", "v1", "SecretData", canary}, denied403},
		{theRoot, "GetSecretValue", given1("test/db"), "200 "},
		{theOther, "GetSecretValue", given1("prod/db"), "404 Forbidden.ResourceNotFound"}, // in its own account
		{theOther, "GetSecretValue", given1(ourARN + "prod/db"), denied403},
		{theOther, "GetSecretValue", given1(ourARN + "prod/none"), denied403},
		{theRoot, "GetSecretValue", given1("acs:kms:cn-hangzhou:" + theirs + ":secret/x"), denied403},
	} {
		if got, _ := b.as(tc.who, tc.action, tc.pairs...); got != tc.want {
			t.Errorf("%s: %s %q = %s, want %s", tc.who.keyID, tc.action, tc.pairs, got, tc.want)
		}
	}
	if err := b.Advance(21 * 3600e9); err != nil {
		t.Fatal(err)
	}
	if got, _ := b.as(theReader, "RestoreSecret", given1("prod/db")...); got != denied403 {
		t.Errorf("after the condition's time = %s, want %s", got, denied403)
	}
}

func given1(name string) []string { return []string{"SecretName", name} }

func TestDeniedBody(t *testing.T) {
	t.Parallel()
	_, body := policyBench(t).as(theReader, "GetSecretValue", "SecretName", "x")
	want := `{"HttpStatus":403,"Code":"Forbidden.NoPermission","Message":"This operation is forbidden by permission system.","RequestId":"ID","HostId":"kms.test"}`
	if got := anonymous(body); got != want {
		t.Errorf("denial\n got %s\nwant %s", got, want)
	}
}

func TestSecretPolicy(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	b.must("CreateSecret", "SecretName", "s", "VersionId", "v1", "SecretData", canary, "DKMSInstanceId", "kst-1")
	grant := func(effect, principal string) string {
		return `{"Version":"1","Statement":[{"Effect":"` + effect + `","Principal":{"RAM":["` + principal + `"]},"Action":["kms:GetSecretValue"],"Resource":["*"]}]}`
	}
	arn := "acs:kms:cn-hangzhou:" + ours + ":secret/s"
	for _, tc := range []struct {
		policy       string
		reader, them string
	}{
		{grant("Allow", "acs:ram::"+ours+":user/reader"), "200 ", denied403},
		{grant("Allow", "acs:ram::"+ours+":root"), "200 ", denied403},
		{grant("Allow", "acs:ram::*:*"), "200 ", "200 "},
		{grant("Allow", "acs:ram::"+theirs+":user/other"), denied403, "200 "},
		{grant("Deny", "acs:ram::*:*"), denied403, denied403},
	} {
		b.must("SetSecretPolicy", "SecretName", "s", "Policy", tc.policy)
		var reply policyReply
		decode(t, b.must("GetSecretPolicy", "SecretName", "s"), &reply)
		if reply.Policy != tc.policy {
			t.Errorf("policy = %s, want %s", reply.Policy, tc.policy)
		}
		if got, _ := b.as(theReader, "GetSecretValue", "SecretName", "s"); got != tc.reader {
			t.Errorf("%s: reader = %s, want %s", tc.policy, got, tc.reader)
		}
		if got, _ := b.as(theOther, "GetSecretValue", "SecretName", arn); got != tc.them {
			t.Errorf("%s: other account = %s, want %s", tc.policy, got, tc.them)
		}
	}
}

func TestSecretPolicyRefusals(t *testing.T) {
	t.Parallel()
	refused(t, []refusal{
		{"GetSecretPolicy", given1("s"), refusedNotFound},
		{"GetSecretPolicy", append(given1("s"), "PolicyName", "x"), refusedNotFound},
		{"GetSecretPolicy", given1("none"), refusedNotFound},
		{"SetSecretPolicy", given1("s"), "400 MissingPolicy: Policy is mandatory for this action."},
		{"SetSecretPolicy", append(given1("s"), "Policy", strings.Repeat("x", maxPolicy+1)), refusedInvalid("Policy")},
		{
			"SetSecretPolicy",
			append(given1("s"), "Policy", `{"Version":"1","Statement":[{"Effect":"Allow","Principal":{"RAM":"*"},"Action":"*","Resource":"*"}]}`),
			"400 Forbidden.KeyPolicyUnSupported: The specified key does not support key policy.", // s is in no instance
		},
		{
			"SetSecretPolicy", append(given1("s"), "Policy", `{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
			`400 InvalidParameter: The specified parameter "Policy" is not valid: statement 1: needs a Principal of RAM ARNs.`,
		},
		{
			"SetSecretPolicy",
			append(given1("s"), "Policy", `{"Version":"1","Statement":[{"Effect":"Allow","Principal":{"RAM":"*"},"Action":"*","Resource":"x"}]}`),
			refusedInvalid("Policy"),
		},
	})
}

// Each action has a resource, or a policy could never allow it.
func TestEveryActionHasAResource(t *testing.T) {
	t.Parallel()
	for name := range actions {
		if resources[name] == 0 {
			t.Errorf("%s is not in resources", name)
		}
	}
}

func TestPolicyFileFaults(t *testing.T) {
	t.Parallel()
	const user = "accounts:\n  \"1\":\n    users:\n      a:\n"
	for _, tc := range []struct{ text, want string }{
		{"", ":1: the file is empty"},
		{"acounts: {}", ":1: the file: unknown key"},
		{"accounts: []", ":1: accounts must be a map"},
		{"accounts: {x: {}}", ":1: an account must be a number of up to 20 digits"},
		{"accounts:\n  \"1\":\n    groups: {}", ":3: account 1: unknown key"},
		{user + "        access_keys: [{id: k}]", `:5: account 1: user "a": an access key needs a secret, and an id that no other has`},
		{user + "        access_keys: [{id: emulator, secret: x}]", `:5: account 1: user "a": an access key needs a secret, and an id that no other has`},
		{user + "        policies:\n        - {Version: 1, Statement: []}", `:6: account 1: user "a": policy: not a policy document of Version, Statement, Effect, Action, Resource and Condition`},
		{user + "        policies:\n        - {Version: \"2\", Statement: []}", `:6: account 1: user "a": policy: Version must be "1"`},
		{user + "        policies:\n        - Version: \"1\"\n          Statement:\n          - {Effect: Allow, Action: a, Resource: \"*\"}\n          - {Effect: allow, Action: a, Resource: \"*\"}", `:9: account 1: user "a": policy: statement 2: Effect must be Allow or Deny`},
		{user + "        policies:\n        - {Version: \"1\", Statement: [{Effect: Allow, Action: a, Resource: \"*\", Condition: {StringEquals: {\"kms:tag/a\": b}}}]}", `:6: account 1: user "a": policy: statement 1: condition "kms:tag/a" is not supported; known are acs:SourceIp, acs:CurrentTime and acs:SecureTransport`},
		{user + "        policies:\n        - {Version: \"1\", Statement: [{Effect: Allow, NotAction: a, Resource: \"*\"}]}", `:6: account 1: user "a": policy: not a policy document of Version, Statement, Effect, Action, Resource and Condition`},
		{"accounts: {\"1\": {roles: {r: {trust: {principals: x}}}}}", `:1: account 1: role "r": principals must be a list`},
		{"accounts: {\"1\": {oidc_providers: {p: {}}}}", `:1: account 1: OIDC provider "p": the issuer is missing`},
	} {
		path := file(t, tc.text)
		err := New(Config{}).LoadPolicy(path)
		if err == nil || err.Error() != path+tc.want {
			t.Errorf("%s\n got %v\nwant FILE%s", tc.text, err, tc.want)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"*", "", true},
		{"a*c", "abbc", true},
		{"a*c", "abcd", false},
		{"?", "", false},
		{"a?c*", "abc", true},
		{"*b*b*", "abab", true},
		{"prod/*", "prod/a/b", true},
		{"prod/*", "prod", false},
		{"**a", "ba", true},
	} {
		if got := matches(tc.pattern, tc.text); got != tc.want {
			t.Errorf("matches(%q, %q) = %v, want %v", tc.pattern, tc.text, got, tc.want)
		}
	}
}

// What RAM refuses is refused: another case, a key twice, nothing where something must be.
func TestPolicyIsExact(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"Version":"1","Statement":[{"Effect":"Deny","effect":"Allow","Action":"kms:*","Resource":"*"}]}`,
		`{"Version":"1","Statement":[{"Effect":"Deny","Effect":"Allow","Action":"kms:*","Resource":"*"}]}`,
		`{"version":"1","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`,
		`{"Version":"1","Statement":[{"Effect":"Deny","Action":null,"Resource":"*"}]}`,
		`{"Version":"1","Statement":[{"Effect":"Deny","Action":[],"Resource":"*"}]}`,
		`{"Version":"1","Statement":[{"Effect":"Deny","Action":["kms:*",""],"Resource":"*"}]}`,
	} {
		if _, err := parsePolicy(text, identityPolicy); err == nil {
			t.Errorf("parsePolicy(%s) = nil, want an error", text)
		}
	}
	const good = `{"Version":"1","Statement":[{"Effect":"Deny","Action":["kms:*"],"Resource":"*","Condition":{"Bool":{"acs:SecureTransport":"false"}}}]}`
	if _, err := parsePolicy(good, identityPolicy); err != nil {
		t.Errorf("parsePolicy = %v, want nil", err)
	}
}
