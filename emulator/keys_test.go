package emulator

import (
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var made keyReply
	decode(t, b.must("CreateKey", "Description", "d", "EnableAutomaticRotation", "true", "RotationInterval", "30d", "DKMSInstanceId", "kst-1", "ProtectionLevel", "HSM"), &made)
	m := made.KeyMetadata
	if !uuid.MatchString(m.KeyID) || !uuid.MatchString(m.PrimaryKeyVersion) {
		t.Errorf("KeyId and PrimaryKeyVersion are %q and %q, want UUIDs", m.KeyID, m.PrimaryKeyVersion)
	}
	want := `{"KeyMetadata":{"KeyId":"ID","Arn":"acs:kms:cn-hangzhou:1000000000000001:key/ID","KeyState":"Enabled","KeySpec":"Aliyun_AES_256","KeyUsage":"ENCRYPT/DECRYPT",` +
		`"Origin":"Aliyun_KMS","ProtectionLevel":"HSM","PrimaryKeyVersion":"ID","Description":"d","Creator":"1000000000000001","CreationDate":"2026-01-02T03:04:05Z","DeleteDate":"","MaterialExpireTime":"",` +
		`"AutomaticRotation":"Enabled","RotationInterval":"2592000s","LastRotationDate":"2026-02-01T03:04:05Z","NextRotationDate":"2026-03-03T03:04:05Z","DKMSInstanceId":"kst-1","DeletionProtection":"Disabled"},"RequestId":"ID"}`
	b.pass(31 * day)
	for _, ref := range []string{m.KeyID, m.Arn} {
		if got := anonymous(b.must("DescribeKey", "KeyId", ref)); got != want {
			t.Errorf("DescribeKey %s\n got %s\nwant %s", ref, got, want)
		}
		b.must("CreateSecret", "SecretName", ref[:3], "SecretData", canary, "VersionId", "v1", "EncryptionKeyId", ref)
		var reply describeReply
		decode(t, b.must("DescribeSecret", "SecretName", ref[:3]), &reply)
		if got, want := reply.EncryptionKeyID, m.KeyID; got != want {
			t.Errorf("EncryptionKeyId = %q, want %q", got, want)
		}
	}
}

func TestKeyRefusals(t *testing.T) {
	t.Parallel()
	refused(t, []refusal{
		{"DescribeKey", nil, "400 MissingKeyId: KeyId is mandatory for this action."},
		{"DescribeKey", []string{"KeyId", "none"}, "404 Forbidden.KeyNotFound: The specified Key is not found."},
		{"DescribeKey", []string{"KeyId", "alias/none"}, "404 Forbidden.AliasNotFound: The specified Alias is not found."},
		{"CreateKey", []string{"KeySpec", "RSA_1024"}, refusedInvalid("KeySpec")},
		{"CreateKey", []string{"KeyUsage", "SIGN/VERIFY"}, refusedInvalid("KeyUsage")},
		{"CreateKey", []string{"KeySpec", "EC_P256", "KeyUsage", "ENCRYPT/DECRYPT"}, refusedInvalid("KeyUsage")},
		{"CreateKey", []string{"Origin", "OTHER"}, refusedInvalid("Origin")},
		{"CreateKey", []string{"KeySpec", "RSA_2048", "Origin", "EXTERNAL"}, refusedInvalid("Origin")},
		{"CreateKey", []string{"KeySpec", "RSA_2048", "EnableAutomaticRotation", "true"}, refusedInvalid("EnableAutomaticRotation")},
		{"CreateKey", []string{"Origin", "EXTERNAL", "EnableAutomaticRotation", "true"}, refusedInvalid("EnableAutomaticRotation")},
		{"CreateKey", []string{"ProtectionLevel", "NONE"}, refusedInvalid("ProtectionLevel")},
		{"CreateKey", []string{"EnableAutomaticRotation", "true", "RotationInterval", "6d"}, refusedInvalid("RotationInterval")},
		{"CreateKey", []string{"Tags", "x"}, refusedInvalid("Tags")},
		{"CreateKey", []string{"Policy", "{}"}, refusedInvalid("Policy")},
		{"CreateKey", []string{"KeyStorageMechanism", "x"}, refusedInvalid("KeyStorageMechanism")},
		{"CreateKey", []string{"Description", strings.Repeat("x", 8193)}, refusedInvalid("Description")},
		{"ListKeys", []string{"Filters", `[{"Key":"TagKey","Values":["x"]}]`}, refusedInvalid("Filters")},
		{"UpdateKeyDescription", []string{"KeyId", "k"}, "400 MissingDescription: Description is mandatory for this action."},
		{"ScheduleKeyDeletion", []string{"KeyId", "k"}, "400 MissingPendingWindowInDays: PendingWindowInDays is mandatory for this action."},
		{"ScheduleKeyDeletion", []string{"KeyId", "k", "PendingWindowInDays", "6"}, refusedInvalid("PendingWindowInDays")},
		{"ScheduleKeyDeletion", []string{"KeyId", "k", "PendingWindowInDays", "367"}, refusedInvalid("PendingWindowInDays")},
		{"SetDeletionProtection", []string{"EnableDeletionProtection", "true"}, `400 MissingParameter: The parameter "ProtectedResourceArn" is needed but not provided.`},
		{"CreateAlias", []string{"KeyId", "k", "AliasName", "x"}, refusedInvalid("AliasName")},
		{"CreateAlias", []string{"KeyId", "k", "AliasName", "alias/acs/x"}, refusedInvalid("AliasName")},
		{"CreateAlias", []string{"KeyId", "k", "AliasName", "alias/x"}, "404 Forbidden.KeyNotFound: The specified Key is not found."},
		{"DeleteAlias", []string{"AliasName", "alias/x"}, "404 Forbidden.AliasNotFound: The specified Alias is not found."},
		{"SetKeyPolicy", []string{"KeyId", "k", "Policy", "{}", "PolicyName", "other"}, refusedNotFound},
	})
}
