package emulator

import (
	"encoding/base64"
	"slices"
	"testing"
)

func TestCrypto(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.newKeyID()
	plain := base64.StdEncoding.EncodeToString([]byte("hello"))
	var made, again, opened cipherReply
	decode(t, b.must("Encrypt", "KeyId", id, "Plaintext", plain, "EncryptionContext", `{"a":"1","b":"2"}`), &made)
	decode(t, b.must("Encrypt", "KeyId", id, "Plaintext", plain, "EncryptionContext", `{"a":"1","b":"2"}`), &again)
	if made.CiphertextBlob == again.CiphertextBlob {
		t.Error("the same plaintext makes the same ciphertext")
	}
	b.must("CreateKeyVersion", "KeyId", id)
	decode(t, b.must("Decrypt", "CiphertextBlob", made.CiphertextBlob, "EncryptionContext", `{"b":"2", "a":"1"}`), &opened)
	if opened.Plaintext != plain || opened.KeyID != id || opened.KeyVersionID != made.KeyVersionID {
		t.Errorf("Decrypt = %+v, want the plaintext, and key and version of %+v", opened, made)
	}
	blob, _ := base64.StdEncoding.DecodeString(made.CiphertextBlob)
	for _, context := range []string{"", "{}", `{"a":"1"}`, `{"a":"1","b":"3"}`, `{"a":"1","b":"2","c":"3"}`} {
		if status, body := b.call("Decrypt", "CiphertextBlob", made.CiphertextBlob, "EncryptionContext", context); code(t, status, body) != "400 InvalidParameter" {
			t.Errorf("Decrypt with %q = %d, want 400", context, status)
		}
	}
	// Every byte counts, and none may be missing.
	for i := range blob {
		broken := slices.Clone(blob)
		broken[i] ^= 1
		status, _ := b.call("Decrypt", "CiphertextBlob", base64.StdEncoding.EncodeToString(broken), "EncryptionContext", `{"a":"1","b":"2"}`)
		short, _ := b.call("Decrypt", "CiphertextBlob", base64.StdEncoding.EncodeToString(blob[:i]), "EncryptionContext", `{"a":"1","b":"2"}`)
		if status/100 != 4 || short/100 != 4 {
			t.Fatalf("byte %d: changed = %d, cut = %d, want 4xx", i, status, short)
		}
	}
}

func TestDataKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.newKeyID()
	for _, tc := range []struct {
		pairs []string
		want  int
	}{
		{nil, 32},
		{[]string{"KeySpec", "AES_128"}, 16},
		{[]string{"KeySpec", "AES_256", "NumberOfBytes", "1024"}, 1024},
		{[]string{"NumberOfBytes", "1"}, 1},
	} {
		var made, opened cipherReply
		decode(t, b.must("GenerateDataKey", append(tc.pairs, "KeyId", id)...), &made)
		decode(t, b.must("Decrypt", "CiphertextBlob", made.CiphertextBlob), &opened)
		key, err := base64.StdEncoding.DecodeString(made.Plaintext)
		if err != nil || len(key) != tc.want || opened.Plaintext != made.Plaintext {
			t.Errorf("%q: %d bytes, %v, want %d that decrypt", tc.pairs, len(key), err, tc.want)
		}
		var hidden cipherReply
		decode(t, b.must("GenerateDataKeyWithoutPlaintext", append(tc.pairs, "KeyId", id)...), &hidden)
		decode(t, b.must("Decrypt", "CiphertextBlob", hidden.CiphertextBlob), &opened)
		if key, _ := base64.StdEncoding.DecodeString(opened.Plaintext); hidden.Plaintext != "" || len(key) != tc.want {
			t.Errorf("%q without plaintext: %d bytes, want %d", tc.pairs, len(key), tc.want)
		}
	}
}

func TestCryptoRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id, rsa := b.newKeyID(), b.newKeyID("KeySpec", "RSA_2048")
	for _, tc := range []struct {
		action string
		pairs  []string
		want   string
	}{
		{"Encrypt", []string{"KeyId", id, "Plaintext", "not base64"}, "400 InvalidParameter"},
		{"Encrypt", []string{"KeyId", id, "Plaintext", base64.StdEncoding.EncodeToString(make([]byte, 6145))}, "400 InvalidParameter"},
		{"Encrypt", []string{"KeyId", id, "Plaintext", base64.StdEncoding.EncodeToString(make([]byte, 6144))}, "200 "},
		{"Encrypt", []string{"KeyId", id, "Plaintext", "YQ==", "EncryptionContext", "[]"}, "400 InvalidParameter"},
		{"Encrypt", []string{"KeyId", id, "Plaintext", "YQ==", "EncryptionContext", `{"a":1}`}, "400 InvalidParameter"},
		{"Encrypt", []string{"KeyId", id, "Plaintext", "YQ==", "DryRun", "true"}, "400 DryRunOperationError"},
		{"Encrypt", []string{"KeyId", rsa, "Plaintext", "YQ=="}, "400 Rejected.UnsupportedOperation"},
		{"GenerateDataKey", []string{"KeyId", id, "NumberOfBytes", "1025"}, "400 InvalidParameter"},
		{"GenerateDataKey", []string{"KeyId", id, "KeySpec", "AES_512"}, "400 InvalidParameter"},
		{"Decrypt", []string{"CiphertextBlob", "YQ=="}, "400 InvalidParameter"},
		{"CreateSecret", []string{"SecretName", "s", "VersionId", "v", "SecretData", canary, "EncryptionKeyId", rsa}, "400 InvalidParameter"},
	} {
		status, body := b.call(tc.action, tc.pairs...)
		if got := code(t, status, body); got != tc.want {
			t.Errorf("%s %.60q = %s, want %s", tc.action, tc.pairs, got, tc.want)
		}
	}
}
