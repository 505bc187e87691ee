package emulator

import (
	"fmt"
	"strings"
	"testing"
)

// newKeyID makes a key and returns its id.
func (b *bench) newKeyID(pairs ...string) string {
	b.t.Helper()
	var made keyReply
	decode(b.t, b.must("CreateKey", pairs...), &made)
	return made.KeyMetadata.KeyID
}

func (b *bench) key(id string) keyMetadata {
	b.t.Helper()
	var reply keyReply
	decode(b.t, b.must("DescribeKey", "KeyId", id), &reply)
	return reply.KeyMetadata
}

// inState makes a key of that state.
func (b *bench) inState(state keyState) string {
	b.t.Helper()
	if state == keyWaiting {
		return b.newKeyID("Origin", originExternal)
	}
	id := b.newKeyID()
	switch state {
	case keyDisabled:
		b.must("DisableKey", "KeyId", id)
	case keyDeleting:
		b.must("ScheduleKeyDeletion", "KeyId", id, "PendingWindowInDays", "7")
	}
	if got := b.key(id).KeyState; got != string(state) {
		b.t.Fatalf("state = %s, want %s", got, state)
	}
	return id
}

// The table of the page on what the state of a key does to calls.
func TestKeyStates(t *testing.T) {
	t.Parallel()
	const ok, disabled, deleting, waiting, failed = "200 ", "409 Rejected.Disabled", "409 Rejected.PendingDeletion", "409 Rejected.PendingImport", "409 Rejected.StateModifiedFailed"
	states := []keyState{keyEnabled, keyDisabled, keyDeleting, keyWaiting}
	for _, tc := range []struct {
		action string
		pairs  []string
		want   [4]string
	}{
		{"GenerateDataKey", nil, [4]string{ok, disabled, deleting, waiting}},
		{"GenerateDataKeyWithoutPlaintext", nil, [4]string{ok, disabled, deleting, waiting}},
		{"Encrypt", []string{"Plaintext", "YQ=="}, [4]string{ok, disabled, deleting, waiting}},
		{"DescribeKey", nil, [4]string{ok, ok, ok, ok}},
		{"UpdateKeyDescription", []string{"Description", "d"}, [4]string{ok, ok, deleting, ok}},
		{"EnableKey", nil, [4]string{ok, ok, failed, failed}},
		{"DisableKey", nil, [4]string{ok, ok, failed, failed}},
		{"ScheduleKeyDeletion", []string{"PendingWindowInDays", "366"}, [4]string{ok, ok, failed, ok}},
		{"CancelKeyDeletion", nil, [4]string{failed, failed, ok, failed}},
		{"CreateAlias", []string{"AliasName", "alias/a"}, [4]string{ok, ok, failed, ok}},
		{"TagResource", []string{"Tags", `[{"TagKey":"k","TagValue":"v"}]`}, [4]string{ok, ok, deleting, ok}},
		{"UntagResource", []string{"TagKeys", `["k"]`}, [4]string{ok, ok, deleting, ok}},
		{"ListResourceTags", nil, [4]string{ok, ok, ok, ok}},
		{"CreateKeyVersion", nil, [4]string{ok, disabled, deleting, waiting}},
		{"ListKeyVersions", nil, [4]string{ok, ok, ok, ok}},
		{"UpdateRotationPolicy", []string{"EnableAutomaticRotation", "false"}, [4]string{ok, disabled, deleting, waiting}},
		{"SetDeletionProtection", []string{"EnableDeletionProtection", "true"}, [4]string{ok, ok, deleting, ok}},
	} {
		for i, state := range states {
			b := newBench(t)
			status, body := b.call(tc.action, append(tc.pairs, "KeyId", b.inState(state))...)
			if got := code(t, status, body); got != tc.want[i] {
				t.Errorf("%s of a key that is %s = %s, want %s", tc.action, state, got, tc.want[i])
			}
		}
	}
	// UpdateAlias looks at the key that gets the alias, not at the one that had it.
	for i, want := range []string{ok, ok, deleting, ok} {
		b := newBench(t)
		b.must("CreateAlias", "KeyId", b.newKeyID(), "AliasName", "alias/a")
		status, body := b.call("UpdateAlias", "KeyId", b.inState(states[i]), "AliasName", "alias/a")
		if got := code(t, status, body); got != want {
			t.Errorf("UpdateAlias to a key that is %s = %s, want %s", states[i], got, want)
		}
	}
}

// Decrypt goes by the key that is written in the ciphertext.
func TestDecryptByState(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.newKeyID()
	var made cipherReply
	decode(t, b.must("Encrypt", "KeyId", id, "Plaintext", "YQ=="), &made)
	try := func(want string) {
		t.Helper()
		status, body := b.call("Decrypt", "CiphertextBlob", made.CiphertextBlob)
		if got := code(t, status, body); got != want {
			t.Errorf("Decrypt = %s, want %s", got, want)
		}
	}
	try("200 ")
	b.must("DisableKey", "KeyId", id)
	try("409 Rejected.Disabled")
	b.must("EnableKey", "KeyId", id)
	try("200 ")
	b.must("ScheduleKeyDeletion", "KeyId", id, "PendingWindowInDays", "7")
	try("409 Rejected.PendingDeletion")
	b.pass(7 * day)
	try("404 Forbidden.KeyNotFound")
}

// A key that is disabled, to be deleted or gone takes its secrets along; one that comes back brings them back.
func TestKeyTakesItsSecrets(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.newKeyID()
	b.must("CreateAlias", "KeyId", id, "AliasName", "alias/a")
	b.must("CreateSecret", "SecretName", "s", "VersionId", "v1", "SecretData", canary, "EncryptionKeyId", "alias/a")
	b.must("CreateSecret", "SecretName", "free", "VersionId", "v1", "SecretData", canary)
	try := func(want string) {
		t.Helper()
		for _, call := range [][]string{{"GetSecretValue", "SecretName", "s"}, {"PutSecretValue", "SecretName", "s", "VersionId", "v1", "SecretData", canary}} {
			status, body := b.call(call[0], call[1:]...)
			if got := code(t, status, body); got != want {
				t.Errorf("%s = %s, want %s", call[0], got, want)
			}
		}
		b.must("DescribeSecret", "SecretName", "s")
		b.must("GetSecretValue", "SecretName", "free")
	}
	try("200 ")
	b.must("DisableKey", "KeyId", id)
	try("409 Rejected.Disabled")
	status, body := b.call("CreateSecret", "SecretName", "t", "VersionId", "v1", "SecretData", canary, "EncryptionKeyId", id)
	if got, want := code(t, status, body), "409 Rejected.Disabled"; got != want {
		t.Errorf("CreateSecret = %s, want %s", got, want)
	}
	b.must("EnableKey", "KeyId", id)
	try("200 ")
	b.must("ScheduleKeyDeletion", "KeyId", id, "PendingWindowInDays", "7")
	try("409 Rejected.PendingDeletion")
	b.must("CancelKeyDeletion", "KeyId", id)
	try("200 ")
	b.must("CreateKeyVersion", "KeyId", id)
	b.must("DeleteAlias", "AliasName", "alias/a")
	try("200 ") // what the older version wrote can be read, and the secret knows the key and not the alias
	b.must("ScheduleKeyDeletion", "KeyId", id, "PendingWindowInDays", "7")
	b.pass(7 * day)
	try("404 Forbidden.KeyNotFound")
}

// A managed secret waits for its key, and then makes up for what it missed.
func TestRotationWaitsForKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.newKeyID()
	b.sample("Rds SingleUser", "SecretName", "m", "EncryptionKeyId", id, "EnableAutomaticRotation", "true", "RotationInterval", "7d")
	versions := func() int {
		var reply versionsReply
		decode(t, b.must("ListSecretVersionIds", "SecretName", "m", "IncludeDeprecated", "true"), &reply)
		return reply.TotalCount
	}
	b.must("DisableKey", "KeyId", id)
	b.pass(15 * day)
	if got, want := versions(), 1; got != want {
		t.Errorf("%d versions while the key is disabled, want %d", got, want)
	}
	b.must("EnableKey", "KeyId", id)
	if got, want := versions(), 3; got != want {
		t.Errorf("%d versions after it was enabled, want %d", got, want)
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.newKeyID("EnableAutomaticRotation", "true", "RotationInterval", "604800s")
	rotation := func(want string) {
		t.Helper()
		m := b.key(id)
		if got := fmt.Sprint(m.AutomaticRotation, " ", m.RotationInterval, " ", m.NextRotationDate); got != want {
			t.Errorf("rotation = %q, want %q", got, want)
		}
	}
	rotation("Enabled 604800s 2026-01-09T03:04:05Z")
	first := b.key(id).PrimaryKeyVersion
	b.must("DisableKey", "KeyId", id)
	rotation("Suspended 604800s 2026-01-09T03:04:05Z")
	b.pass(20 * day)
	if got := b.key(id).PrimaryKeyVersion; got != first {
		t.Error("a disabled key has rotated")
	}
	b.must("EnableKey", "KeyId", id)
	rotation("Enabled 604800s 2026-01-23T03:04:05Z")
	if got := b.key(id).PrimaryKeyVersion; got == first {
		t.Error("a key that was due has not rotated")
	}
	b.must("UpdateRotationPolicy", "KeyId", id, "EnableAutomaticRotation", "false")
	rotation("Disabled  ")
	b.must("UpdateRotationPolicy", "KeyId", id, "EnableAutomaticRotation", "true", "RotationInterval", "30d")
	rotation("Enabled 2592000s 2026-02-15T03:04:05Z")
	var reply keyVersionsReply
	decode(t, b.must("ListKeyVersions", "KeyId", id), &reply)
	if got, want := reply.TotalCount, 2; got != want || len(reply.KeyVersions.KeyVersion) != want {
		t.Errorf("%d versions, want %d", got, want)
	}
}

func TestDeletionProtection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.newKeyID()
	b.must("SetDeletionProtection", "ProtectedResourceArn", b.key(id).Arn, "EnableDeletionProtection", "true", "DeletionProtectionDescription", "in use")
	if m := b.key(id); m.DeletionProtection != "Enabled" || m.DeletionProtectionDescription != "in use" {
		t.Errorf("protection = %q %q, want Enabled and in use", m.DeletionProtection, m.DeletionProtectionDescription)
	}
	status, body := b.call("ScheduleKeyDeletion", "KeyId", id, "PendingWindowInDays", "7")
	if got, want := code(t, status, body), "409 Rejected.StateModifiedFailed"; got != want {
		t.Errorf("ScheduleKeyDeletion = %s, want %s", got, want)
	}
	b.must("SetDeletionProtection", "KeyId", id, "EnableDeletionProtection", "false")
	b.must("ScheduleKeyDeletion", "KeyId", id, "PendingWindowInDays", "7")
	if got, want := b.key(id).DeleteDate, "2026-01-09T03:04:05Z"; got != want {
		t.Errorf("DeleteDate = %s, want %s", got, want)
	}
}

func TestKeyPolicy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const policy = `{"Version":"1", "Statement":[{"Action":["kms:*"],"Resource":["*"],"Effect":"Allow","Principal":{"RAM":["acs:ram::1192853035118460:*"]},"Sid":"kms default key policy"}]}`
	get := func(id string) string {
		t.Helper()
		var reply policyReply
		decode(t, b.must("GetKeyPolicy", "KeyId", id, "PolicyName", "default"), &reply)
		return reply.Policy
	}
	given := b.newKeyID("DKMSInstanceId", "kst-1", "Policy", policy)
	if got := get(given); got != policy {
		t.Errorf("policy = %s, want %s", got, policy)
	}
	plain := b.newKeyID("DKMSInstanceId", "kst-1")
	if got := get(plain); !strings.Contains(got, "acs:ram::1000000000000001:*") {
		t.Errorf("policy that nobody gave = %s, want one for the account", got)
	}
	b.must("SetKeyPolicy", "KeyId", plain, "Policy", policy)
	if got := get(plain); got != policy {
		t.Errorf("policy that was set = %s, want %s", got, policy)
	}
	status, body := b.call("GetKeyPolicy", "KeyId", b.newKeyID())
	if got, want := code(t, status, body), "400 Forbidden.KeyPolicyUnSupported"; got != want {
		t.Errorf("GetKeyPolicy of a key in no instance = %s, want %s", got, want)
	}
}

func TestKeyLists(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := b.newKeyID("ProtectionLevel", "HSM"), b.newKeyID("KeySpec", "RSA_2048", "KeyUsage", usageSign)
	b.pass(1)
	three := b.inState(keyDisabled)
	if two < one { // made in the same moment
		one, two = two, one
	}
	for _, tc := range []struct{ filters, want string }{
		{"", one + " " + two + " " + three},
		{`[{"Key":"KeyState","Values":["Disabled","PendingDeletion"]}]`, three},
		{`[{"Key":"CreatorType","Values":["Service"]}]`, ""},
		{`[{"Key":"CreatorType","Values":["User"]},{"Key":"KeyState","Values":["Disabled"]}]`, three},
	} {
		var reply keysReply
		decode(t, b.must("ListKeys", "Filters", tc.filters), &reply)
		var ids []string
		for _, k := range reply.Keys.Key {
			ids = append(ids, k.KeyID)
		}
		if got := strings.Join(ids, " "); got != tc.want || reply.TotalCount != len(ids) {
			t.Errorf("%s: %q of %d, want %q", tc.filters, got, reply.TotalCount, tc.want)
		}
	}
	for _, alias := range []string{"alias/b", "alias/a"} {
		b.must("CreateAlias", "KeyId", one, "AliasName", alias)
	}
	b.must("UpdateAlias", "KeyId", three, "AliasName", "alias/b")
	want := fmt.Sprintf(`{"Aliases":{"Alias":[{"KeyId":"%s","AliasArn":"acs:kms:cn-hangzhou:1000000000000001:alias/a","AliasName":"alias/a"},`+
		`{"KeyId":"%s","AliasArn":"acs:kms:cn-hangzhou:1000000000000001:alias/b","AliasName":"alias/b"}]},"PageNumber":1,"PageSize":20,"TotalCount":2`, one, three)
	if got := b.must("ListAliases"); !strings.HasPrefix(got, want) {
		t.Errorf("ListAliases\n got %s\nwant %s", got, want)
	}
	if got, want := b.key("acs:kms:cn-hangzhou:1000000000000001:alias/b").KeyID, three; got != want {
		t.Errorf("alias/b is of %s, want %s", got, want)
	}
	status, body := b.call("CreateAlias", "KeyId", one, "AliasName", "alias/b")
	if got, want := code(t, status, body), "400 AliasAlreadyExists"; got != want {
		t.Errorf("CreateAlias again = %s, want %s", got, want)
	}
}
