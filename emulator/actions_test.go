package emulator

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// exchange is a call and its whole answer.
type exchange struct {
	action string
	pairs  []string
	want   string
}

// Each answer against the documented shape, in one life of a secret.
func TestAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, step := range []exchange{
		{
			"CreateSecret",
			[]string{"SecretName", "s", "VersionId", "v1", "SecretData", canary + "<&>", "Description", "d", "SecretType", "Generic", "EnableAutomaticRotation", "False"},
			`{"Arn":"acs:kms:cn-hangzhou:1000000000000001:secret/s","SecretName":"s","VersionId":"v1","SecretType":"Generic","RequestId":"ID"}`,
		},
		{
			"GetSecretValue",
			[]string{"SecretName", "s", "FetchExtendedConfig", "true", "RegionId", "cn-beijing", "SomethingNew", "x"},
			`{"SecretName":"s","SecretType":"Generic","SecretData":"c4n4ry<&>","SecretDataType":"text","VersionId":"v1","VersionStages":{"VersionStage":["ACSCurrent"]},"CreateTime":"2026-01-02T03:04:05Z","RequestId":"ID"}`,
		},
		{
			"PutSecretValue",
			[]string{"SecretName", "acs:kms:cn-hangzhou:1000000000000001:secret/s", "VersionId", "v2", "SecretData", canary + "2", "SecretDataType", "binary", "VersionStages", `["ACSCurrent","new"]`},
			`{"SecretName":"s","VersionId":"v2","VersionStages":{"VersionStage":["ACSCurrent","new"]},"RequestId":"ID"}`,
		},
		{
			"GetSecretValue",
			[]string{"SecretName", "s", "VersionStage", "new", "VersionId", "v2"},
			`{"SecretName":"s","SecretType":"Generic","SecretData":"c4n4ry2","SecretDataType":"binary","VersionId":"v2","VersionStages":{"VersionStage":["ACSCurrent","new"]},"CreateTime":"2026-01-02T04:04:05Z","RequestId":"ID"}`,
		},
		{
			"DescribeSecret",
			[]string{"SecretName", "s"},
			`{"Arn":"acs:kms:cn-hangzhou:1000000000000001:secret/s","SecretName":"s","SecretType":"Generic","Description":"d","CreateTime":"2026-01-02T03:04:05Z","UpdateTime":"2026-01-02T04:04:05Z","RequestId":"ID"}`,
		},
		{
			"ListSecretVersionIds",
			[]string{"SecretName", "s"},
			`{"SecretName":"s","VersionIds":{"VersionId":[{"VersionId":"v1","CreateTime":"2026-01-02T03:04:05Z","VersionStages":{"VersionStage":["ACSPrevious"]}},{"VersionId":"v2","CreateTime":"2026-01-02T04:04:05Z","VersionStages":{"VersionStage":["ACSCurrent","new"]}}]},"PageNumber":1,"PageSize":20,"TotalCount":2,"RequestId":"ID"}`,
		},
		{"UpdateSecretVersionStage", []string{"SecretName", "s", "VersionStage", "new", "RemoveFromVersion", "v2"}, `{"SecretName":"s","RequestId":"ID"}`},
		{"DeleteSecret", []string{"SecretName", "s", "RecoveryWindowInDays", "7"}, `{"SecretName":"s","PlannedDeleteTime":"2026-01-09T04:04:05.000000006Z","RequestId":"ID"}`},
		{
			"DescribeSecret",
			[]string{"SecretName", "s", "FetchTags", "TRUE"},
			`{"Arn":"acs:kms:cn-hangzhou:1000000000000001:secret/s","SecretName":"s","SecretType":"Generic","Description":"d","CreateTime":"2026-01-02T03:04:05Z","UpdateTime":"2026-01-02T04:04:05Z","PlannedDeleteTime":"2026-01-09T04:04:05.000000006Z","Tags":{"Tag":[]},"RequestId":"ID"}`,
		},
		{
			"ListSecrets",
			nil,
			`{"SecretList":{"Secret":[{"SecretName":"s","SecretType":"Generic","CreateTime":"2026-01-02T03:04:05Z","UpdateTime":"2026-01-02T04:04:05Z","PlannedDeleteTime":"2026-01-09T04:04:05.000000006Z"}]},"PageNumber":1,"PageSize":10,"TotalCount":1,"RequestId":"ID"}`,
		},
		{"RestoreSecret", []string{"SecretName", "s"}, `{"SecretName":"s","RequestId":"ID"}`},
		{"DeleteSecret", []string{"SecretName", "s", "ForceDeleteWithoutRecovery", "true", "RecoveryWindowInDays", "30"}, `{"SecretName":"s","PlannedDeleteTime":"2026-01-02T12:04:05.000000006+08:00","RequestId":"ID"}`},
		{"ListSecrets", []string{"PageSize", "50"}, `{"SecretList":{"Secret":[]},"PageNumber":1,"PageSize":50,"TotalCount":0,"RequestId":"ID"}`},
	} {
		if step.action == "PutSecretValue" {
			b.pass(time.Hour)
		}
		if got := anonymous(b.must(step.action, step.pairs...)); got != step.want {
			t.Errorf("%s\n got %s\nwant %s", step.action, got, step.want)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 12 {
		b.must("CreateSecret", "SecretName", fmt.Sprintf("s%02d", 11-i), "VersionId", "v", "SecretData", canary)
		b.pass(time.Second)
	}
	for _, tc := range []struct {
		page, size string
		want       string
	}{
		{"", "", "s11 s10 s09 s08 s07 s06 s05 s04 s03 s02"},
		{"2", "", "s01 s00"},
		{"3", "5", "s01 s00"},
		{"2", "3", "s08 s07 s06"},
		{"3", "", ""},
		{"2147483647", "100", ""},
	} {
		var reply listReply
		decode(t, b.must("ListSecrets", "PageNumber", tc.page, "PageSize", tc.size), &reply)
		var names []string
		for _, s := range reply.SecretList.Secret {
			names = append(names, s.SecretName)
		}
		if got := strings.Join(names, " "); got != tc.want || reply.TotalCount != 12 {
			t.Errorf("page %q of %q = %q of %d, want %q of 12", tc.page, tc.size, got, reply.TotalCount, tc.want)
		}
	}
}

func TestDeleteWindow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create()
	b.must("DeleteSecret", "SecretName", "s")
	window := "409 Rejected.ResourceInDeleteWindow"
	for _, tc := range []struct {
		action string
		pairs  []string
		want   string
	}{
		{"CreateSecret", []string{"VersionId", "v", "SecretData", canary}, window},
		{"PutSecretValue", []string{"VersionId", "v", "SecretData", canary}, window},
		{"GetSecretValue", nil, window},
		{"ListSecretVersionIds", nil, window},
		{"UpdateSecretVersionStage", []string{"VersionStage", "x", "MoveToVersion", "v1"}, window},
		{"DeleteSecret", []string{"ForceDeleteWithoutRecovery", "true"}, window},
		{"DescribeSecret", nil, "200 "},
	} {
		status, body := b.call(tc.action, append([]string{"SecretName", "s"}, tc.pairs...)...)
		if got := code(t, status, body); got != tc.want {
			t.Errorf("%s = %s, want %s", tc.action, got, tc.want)
		}
	}
	b.pass(30*24*time.Hour - time.Nanosecond)
	b.must("RestoreSecret", "SecretName", "s")
	b.must("GetSecretValue", "SecretName", "s")
	b.must("DeleteSecret", "SecretName", "s")
	b.pass(30 * 24 * time.Hour)
	for _, action := range []string{"RestoreSecret", "DescribeSecret", "GetSecretValue"} {
		status, body := b.call(action, "SecretName", "s")
		if got, want := code(t, status, body), "404 Forbidden.ResourceNotFound"; got != want {
			t.Errorf("%s after the window = %s, want %s", action, got, want)
		}
	}
	if got := b.must("ListSecrets"); !strings.Contains(got, `"TotalCount":0`) {
		t.Errorf("ListSecrets after the window = %s, want none", got)
	}
	b.create()
}

func TestGoMethods(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, id := range []string{"v1", "v2", "v1"} {
		if err := b.Put("s", id, []byte(canary+id)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := b.stages(), "v1[ACSCurrent] v2[ACSPrevious]"; got != want {
		t.Errorf("stages = %s, want %s", got, want)
	}
	for _, tc := range []struct{ name, id, data, want string }{
		{"s", "v2", canary, `putting secret "s": Rejected.ResourceExist: The request was rejected becasue key already exsit`},
		{"a b", "v1", canary, `putting secret "a b": InvalidParameter: The specified parameter "SecretName" is not valid.`},
		{"s", "v3", "\xff" + canary, `putting secret "s": InvalidParameter: The specified parameter "SecretData" is not valid.`},
	} {
		if err := b.Put(tc.name, tc.id, []byte(tc.data)); err == nil || err.Error() != tc.want {
			t.Errorf("Put(%q, %q) = %v, want %s", tc.name, tc.id, err, tc.want)
		}
	}
	b.must("DeleteSecret", "SecretName", "s")
	for range 2 {
		if err := b.Delete("s"); err != nil {
			t.Error(err)
		}
	}
	if status, _ := b.call("DescribeSecret", "SecretName", "s"); status != http.StatusNotFound {
		t.Errorf("after Delete: status = %d, want 404", status)
	}
}
