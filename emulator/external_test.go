package emulator

import "testing"

const externalPolicies = `
accounts:
  "1000000000000001":
    users:
      u:
        access_keys: [{id: u, secret: u-secret}]
        policies: [{Version: "1", Statement: [{Effect: Allow, Action: "sts:*", Resource: "*"}]}]
    roles:
      strict: {trust: {principals: ["acs:ram::1000000000000001:user/u"], external_id: shop-7}}
      plain: {trust: {principals: ["acs:ram::1000000000000001:user/u"]}}
`

// A role may want an external id; one that does not looks at none.
func TestExternalID(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.LoadPolicy(file(t, externalPolicies)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ role, external, want string }{
		{"strict", "shop-7", "200 "},
		{"strict", "", "403 NoPermission"},
		{"strict", "shop-8", "403 NoPermission"},
		{"strict", "x y", "400 InvalidParameter.ExternalId"},
		{"plain", "", "200 "},
		{"plain", "shop-7", "200 "},
		{"plain", "x", "400 InvalidParameter.ExternalId"},
	} {
		got, _ := b.sts(person{keyID: "u", secret: "u-secret"}, "AssumeRole", "RoleArn", "acs:ram::"+ours+":role/"+tc.role,
			"RoleSessionName", "test", "ExternalId", tc.external)
		if got != tc.want {
			t.Errorf("%s with %q = %s, want %s", tc.role, tc.external, got, tc.want)
		}
	}
	const wrong = "accounts: {\"1\": {roles: {r: {trust: {external_id: x}}}}}\n"
	if err := newBench(t).LoadPolicy(file(t, wrong)); err == nil {
		t.Error("an external id of one character is taken")
	}
}
