package emulator

import (
	"strings"
	"testing"
)

const keyPolicies = `
accounts:
  "1000000000000001":
    users:
      both:
        access_keys: [{id: both, secret: both-secret}]
        policies:
          - {Version: "1", Statement: [{Effect: Allow, Action: "kms:*", Resource: ["acs:kms:*:*:secret*", "acs:kms:*:*:key/good"]}]}
      secrets:
        access_keys: [{id: secrets, secret: secrets-secret}]
        policies:
          - {Version: "1", Statement: [{Effect: Allow, Action: "kms:*", Resource: "acs:kms:*:*:secret*"}, {Effect: Allow, Action: "sts:*", Resource: "*"}]}
    roles:
      app:
        trust: {principals: ["acs:ram::1000000000000001:user/secrets"]}
        policies: [{Version: "1", Statement: [{Effect: Allow, Action: "kms:*", Resource: "acs:kms:*:*:secret*"}]}]
`

// A key of one's own choice needs leave of its own: to make a secret with it, to write, and to read with an access key,
// but not to read with a session.
func TestKeyOfASecret(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.LoadPolicy(file(t, keyPolicies)); err != nil {
		t.Fatal(err)
	}
	seed := file(t, "secrets: {}\nkeys: {good: {}, bad: {}}\n")
	if _, err := b.LoadSeed(seed); err != nil {
		t.Fatal(err)
	}
	b.must("CreateSecret", "SecretName", "own", "VersionId", "v1", "SecretData", canary, "EncryptionKeyId", "good")
	b.must("CreateSecret", "SecretName", "none", "VersionId", "v1", "SecretData", canary)
	both, secrets := person{keyID: "both", secret: "both-secret"}, person{keyID: "secrets", secret: "secrets-secret"}
	app := b.assume(secrets, "acs:ram::"+ours+":role/app")
	create := func(name, key string) []string {
		return []string{"SecretName", name, "VersionId", "v1", "SecretData", canary, "EncryptionKeyId", key}
	}
	put := func(name string) []string {
		return []string{"SecretName", name, "VersionId", "v2", "SecretData", canary + "2"}
	}
	for _, tc := range []struct {
		who    person
		action string
		pairs  []string
		want   string
	}{
		{both, "GetSecretValue", given1("own"), "200 "},
		{both, "PutSecretValue", put("own"), "200 "},
		{both, "CreateSecret", create("a", "good"), "200 "},
		{both, "CreateSecret", create("b", "acs:kms:cn-hangzhou:"+ours+":key/good"), "200 "},
		{both, "CreateSecret", create("c", "bad"), denied403},
		{secrets, "GetSecretValue", given1("own"), denied403},
		{secrets, "GetSecretValue", given1("none"), "200 "},
		{secrets, "PutSecretValue", put("own"), denied403},
		{secrets, "PutSecretValue", put("none"), "200 "},
		{secrets, "CreateSecret", create("d", "good"), denied403},
		{secrets, "DescribeSecret", given1("own"), "200 "},
		{app, "GetSecretValue", given1("own"), "200 "},
		{app, "PutSecretValue", []string{"SecretName", "own", "VersionId", "v3", "SecretData", canary + "3"}, denied403},
	} {
		if got, _ := b.as(tc.who, tc.action, tc.pairs...); got != tc.want {
			t.Errorf("%s: %s %q = %s, want %s", tc.who.keyID, tc.action, tc.pairs[:2], got, tc.want)
		}
	}
	// The page of CreateSecret has words of its own for it.
	if _, body := b.as(secrets, "CreateSecret", create("e", "good")...); !strings.Contains(body, "You are not authorized to perform the operation.") {
		t.Errorf("denied CreateSecret = %s, want its page's text", body)
	}
}
