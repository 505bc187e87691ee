package emulator

import (
	"strings"
	"testing"
)

func TestDryRun(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	b.must("CreateSecret", "SecretName", "prod/s", "VersionId", "v1", "SecretData", canary)
	for _, tc := range []struct {
		who         person
		name, value string
		want        string
	}{
		{theReader, "prod/s", "TRUE", "400 DryRunOperationError"},
		{theReader, "prod/s", "false", "200 "},
		{theReader, "prod/s", "maybe", "400 InvalidParameter"},
		{theReader, "prod/none", "true", "400 ValidationError"},
		{theReader, "test/s", "true", "403 AccessDeniedError"},
		{theReader, "test/none", "true", "403 AccessDeniedError"},
		{theRoot, "a b", "true", "400 ValidationError"},
	} {
		got, body := b.as(tc.who, "GetSecretValue", "SecretName", tc.name, "DryRun", tc.value)
		if got != tc.want {
			t.Errorf("%s %s DryRun=%s = %s, want %s", tc.who.keyID, tc.name, tc.value, got, tc.want)
		}
		if tc.value == "TRUE" && strings.Contains(body, canary) {
			t.Error("a dry run answers with the value")
		}
	}
}
