package emulator

import (
	"fmt"
	"strings"
	"testing"
)

func TestTags(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf(`{"TagKey":"k%d","TagValue":"v"}`, i)
	}
	long := strings.Repeat("x", 128)
	for i, tc := range []struct{ tags, want string }{
		{"", ""},
		{"[]", ""},
		{`[{"TagKey":"key1","TagValue":"val1"},{"TagKey":"key2","TagValue":""}]`, "key1=val1 key2="},
		{`[{"TagKey":"aA0/\\_-.+=:@","TagValue":"aA0/\\_-.+=:@"}]`, `aA0/\_-.+=:@=aA0/\_-.+=:@`},
		{`[{"TagKey":"` + long + `","TagValue":"` + long + `"}]`, long + "=" + long},
		{"[" + strings.Join(many[:20], ",") + "]", "k0=v k1=v k2=v k3=v k4=v k5=v k6=v k7=v k8=v k9=v k10=v k11=v k12=v k13=v k14=v k15=v k16=v k17=v k18=v k19=v"},
		{"[" + strings.Join(many, ",") + "]", "refused"},
		{`[{"TagKey":"k","TagValue":"v"},{"TagKey":"k","TagValue":"w"}]`, "refused"},
		{`[{"TagKey":"x` + long + `","TagValue":"v"}]`, "refused"},
		{`[{"TagKey":"k","TagValue":"x` + long + `"}]`, "refused"},
		{`[{"TagKey":"","TagValue":"v"}]`, "refused"},
		{`[{"TagKey":"aliyun-x","TagValue":"v"}]`, "refused"},
		{`[{"TagKey":"acs:x","TagValue":"v"}]`, "refused"},
		{`[{"TagKey":"a b","TagValue":"v"}]`, "refused"},
		{`{"TagKey":"k","TagValue":"v"}`, "refused"},
	} {
		name := fmt.Sprint("s", i)
		status, body := b.call("CreateSecret", "SecretName", name, "VersionId", "v1", "SecretData", canary, "Tags", tc.tags)
		got := "refused"
		if sentence(t, status, body) != refusedCreate {
			var reply describeReply
			decode(t, b.must("DescribeSecret", "SecretName", name, "FetchTags", "true"), &reply)
			var all []string
			for _, tag := range reply.Tags.Tag {
				all = append(all, tag.Key+"="+tag.Value)
			}
			got = strings.Join(all, " ")
		}
		if got != tc.want {
			t.Errorf("%.60s: tags %q, want %q", tc.tags, got, tc.want)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must("CreateSecret", "SecretName", "a", "VersionId", "v1", "SecretData", canary, "Description", "first", "Tags", `[{"TagKey":"env","TagValue":"prod"},{"TagKey":"team","TagValue":"x"}]`)
	b.must("CreateSecret", "SecretName", "b", "VersionId", "v1", "SecretData", canary, "DKMSInstanceId", "kst-1", "Tags", `[{"TagKey":"env","TagValue":"test"}]`)
	b.sample("Rds SingleUser", "SecretName", "c")
	for _, tc := range []struct{ filters, want string }{
		{"", "a b c"},
		{"[]", "a b c"},
		{`[{"Key":"SecretName","Values":["a","c","z"]}]`, "a c"},
		{`[{"Key":"SecretName","Values":["A"]}]`, ""},
		{`[{"Key":"Description","Values":["first"]}]`, "a"},
		{`[{"Key":"Description","Values":["fir"]}]`, ""},
		{`[{"Key":"TagKey","Values":["env"]}]`, "a b"},
		{`[{"Key":"TagKey","Values":["env"]},{"Key":"TagValue","Values":["prod"]}]`, "a"},
		{`[{"Key":"TagValue","Values":["test","prod"]}]`, "a b"},
		{`[{"Key":"DKMSInstanceId","Values":["kst-1"]}]`, "b"},
		{`[{"Key":"SecretType","Values":["Rds"]}]`, "c"},
		{`[{"Key":"SecretType","Values":["Rds"]},{"Key":"SecretName","Values":["a"]}]`, ""},
		{`[{"Key":"Creator","Values":["1000000000000001"]}]`, "a b c"},
		{`[{"Key":"Creator","Values":["other"]}]`, ""},
	} {
		var reply listReply
		decode(t, b.must("ListSecrets", "Filters", tc.filters, "PageSize", "2"), &reply)
		var names []string
		for _, s := range reply.SecretList.Secret {
			names = append(names, s.SecretName)
		}
		want := strings.Fields(tc.want)
		if got := strings.Join(names, " "); got != strings.Join(want[:min(2, len(want))], " ") || reply.TotalCount != len(want) {
			t.Errorf("%s: %q of %d, want the first two of %q", tc.filters, got, reply.TotalCount, tc.want)
		}
	}
}

func TestUpdateSecret(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create()
	b.pass(day)
	b.must("UpdateSecret", "SecretName", "s", "Description", "d")
	var reply describeReply
	decode(t, b.must("DescribeSecret", "SecretName", "s"), &reply)
	if got, want := reply.Description+" "+reply.UpdateTime, "d 2026-01-03T03:04:05Z"; got != want {
		t.Errorf("description and UpdateTime = %s, want %s", got, want)
	}
	b.must("DeleteSecret", "SecretName", "s")
	status, body := b.call("UpdateSecret", "SecretName", "s", "Description", "d")
	if got, want := sentence(t, status, body), "409 Rejected.ResourceInDeleteWindow: secret in delete peroid"; got != want {
		t.Errorf("in the window: %s, want %s", got, want)
	}
}

// What has no effect on generic secrets is no fault either.
func TestGenericIgnoresRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const policy = `{"Version":"1","Statement":[{"Effect":"Allow","Principal":{"RAM":["acs:ram::1000000000000001:user/u"]},"Action":["kms:GetSecretValue"],"Resource":["*"]}]}`
	body := b.must("CreateSecret", "SecretName", "s", "VersionId", "v1", "SecretData", canary,
		"EnableAutomaticRotation", "true", "RotationInterval", "7d", "ExtendedConfig", "{}", "DKMSInstanceId", "kst", "Policy", policy)
	want := `{"Arn":"acs:kms:cn-hangzhou:1000000000000001:secret/s","SecretName":"s","VersionId":"v1","SecretType":"Generic","DKMSInstanceId":"kst","RequestId":"ID"}`
	if got := anonymous(body); got != want {
		t.Errorf("CreateSecret\n got %s\nwant %s", got, want)
	}
	b.pass(365 * day)
	if got, want := b.stages(), "v1[ACSCurrent]"; got != want {
		t.Errorf("stages = %s, want %s", got, want)
	}
}
