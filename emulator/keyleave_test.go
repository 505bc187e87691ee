package emulator

import "testing"

const leavePolicies = `
accounts:
  "1000000000000001":
    users:
      u:
        access_keys: [{id: u, secret: u-secret}]
        policies:
          - Version: "1"
            Statement:
              - {Effect: Allow, Action: "kms:*", Resource: ["acs:kms:*:*:key/good*", "acs:kms:*:*:alias/mine", "acs:kms:*:*:secret/a"]}
              - {Effect: Deny, Action: "kms:*", Resource: "acs:kms:*:*:key/goodbye"}
`

// Leave is asked for the key behind an alias and in a ciphertext, and for each resource of several.
func TestLeaveForKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.LoadPolicy(file(t, leavePolicies)); err != nil {
		t.Fatal(err)
	}
	seed := file(t, "secrets: {a: x, b: x}\nkeys: {good: {}, goodbye: {}, bad: {}}\n")
	if _, err := b.LoadSeed(seed); err != nil {
		t.Fatal(err)
	}
	blobs := map[string]string{}
	for _, id := range []string{"good", "bad"} {
		b.must("CreateAlias", "KeyId", id, "AliasName", "alias/"+id)
		var made cipherReply
		decode(t, b.must("Encrypt", "KeyId", id, "Plaintext", "YQ=="), &made)
		blobs[id] = made.CiphertextBlob
	}
	many := func(kind string, names ...string) []string {
		pairs := []string{"RegionId", "r", "ResourceType", kind, "Tag.1.Key", "k"}
		for i, name := range names {
			pairs = append(pairs, "ResourceId."+indexes(i + 1)[i], name)
		}
		return pairs
	}
	for _, tc := range []struct {
		action string
		pairs  []string
		want   string
	}{
		{"Encrypt", []string{"KeyId", "good", "Plaintext", "YQ=="}, "200 "},
		{"Encrypt", []string{"KeyId", "alias/good", "Plaintext", "YQ=="}, "200 "},
		{"Encrypt", []string{"KeyId", "alias/bad", "Plaintext", "YQ=="}, denied403},
		{"Encrypt", []string{"KeyId", "acs:kms:cn-hangzhou:1000000000000001:alias/bad", "Plaintext", "YQ=="}, denied403},
		{"Encrypt", []string{"KeyId", "goodbye", "Plaintext", "YQ=="}, denied403},
		{"DescribeKey", []string{"KeyId", "acs:kms:cn-hangzhou:1000000000000001:key/good"}, "200 "},
		{"Decrypt", []string{"CiphertextBlob", blobs["good"]}, "200 "},
		{"Decrypt", []string{"CiphertextBlob", blobs["bad"]}, denied403},
		{"Decrypt", []string{"CiphertextBlob", "x"}, denied403},
		{"CreateAlias", []string{"KeyId", "good", "AliasName", "alias/mine"}, "200 "},
		{"CreateAlias", []string{"KeyId", "good", "AliasName", "alias/other"}, denied403},
		{"UpdateAlias", []string{"KeyId", "bad", "AliasName", "alias/mine"}, denied403},
		{"DeleteAlias", []string{"AliasName", "alias/bad"}, denied403},
		{"DeleteAlias", []string{"AliasName", "alias/mine"}, "200 "},
		{"ListKeys", nil, denied403},
		{"TagResource", []string{"KeyId", "good", "Tags", `[{"TagKey":"k","TagValue":"v"}]`}, "200 "},
		{"TagResource", []string{"SecretName", "b", "Tags", `[{"TagKey":"k","TagValue":"v"}]`}, denied403},
		{"TagResources", many("key", "good"), "200 "},
		{"TagResources", many("key", "good", "bad"), denied403},
		{"TagResources", many("key", "good", "goodbye"), denied403},
		{"TagResources", many("key", "goodbye", "bad"), denied403},
		{"TagResources", many("secret", "a"), "200 "},
		{"TagResources", many("secret", "a", "b"), denied403},
		{"ListTagResources", many("secret"), denied403},
		{"SetDeletionProtection", []string{"ProtectedResourceArn", "acs:kms:cn-hangzhou:1000000000000001:key/good", "EnableDeletionProtection", "true"}, "200 "},
		{"SetDeletionProtection", []string{"ProtectedResourceArn", "acs:kms:cn-hangzhou:1000000000000001:key/bad", "EnableDeletionProtection", "true"}, denied403},
	} {
		if got, body := b.as(person{keyID: "u", secret: "u-secret"}, tc.action, tc.pairs...); got != tc.want {
			t.Errorf("%s %q = %s, want %s", tc.action, tc.pairs, body, tc.want)
		}
	}
}
