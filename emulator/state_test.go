package emulator

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stateDir is where fsync costs nothing, if there is such a place.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "kmsrun-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// restart is what remains after the process has ended and another one took over.
func (b *bench) restart(path string) error {
	if b.Emulator != nil && b.keeper != nil {
		if err := b.Close(); err != nil {
			return err
		}
	}
	b.Emulator = New(Config{Now: b.now})
	return b.OpenState(path)
}

func stateBench(t *testing.T) (*bench, string) {
	t.Helper()
	b, path := newBench(t), filepath.Join(stateDir(t), "state")
	if err := b.restart(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b, path
}

// everything fills the emulator with each kind of thing that it can keep.
func everything(b *bench) {
	b.t.Helper()
	b.store.addKey(newKey("k", "a key"))
	inside := newKey("i", "")
	inside.instance = "kst"
	b.store.addKey(inside)
	for _, kind := range []string{"Rds DoubleUsers", "RAMCredentials RamUserAccessKey", "ECS SSHKey"} {
		b.sample(kind, "EncryptionKeyId", "k", "EnableAutomaticRotation", "true", "RotationInterval", "7d")
	}
	b.must("CreateKey", "Origin", originExternal)
	b.must("CreateKey", "KeySpec", "EC_SM2", "Tags", `[{"TagKey":"a","TagValue":"b"}]`)
	b.pass(8 * day)
	b.sample("Rds SingleUser", "SecretName", "m")
	for _, call := range everyAction(b) {
		b.must(call[0], call[1:]...)
	}
	b.must("ScheduleKeyDeletion", "KeyId", "i", "PendingWindowInDays", "20")
	b.must("CreateAlias", "KeyId", "k", "AliasName", "alias/k")
	b.must("DeleteSecret", "SecretName", "m", "RecoveryWindowInDays", "20")
}

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	b, path := stateBench(t)
	everything(b)
	b.must("CreateSecret", "SecretName", "sealed", "VersionId", "v1", "SecretData", canary, "EncryptionKeyId", "alias/k")
	b.must("CreateSecret", "SecretName", "plain", "VersionId", "v1", "SecretData", canary)
	role := b.assume(person{keyID: "emulator", secret: "emulator-secret"}, "acs:ram::"+ours+":role/r")
	other := b.assume(person{keyID: "emulator", secret: "emulator-secret"}, "acs:ram::2:role/r")
	if got, body := b.as(other, "CreateSecret", "SecretName", "other", "VersionId", "v1", "SecretData", canary); got != "200 " {
		t.Fatalf("CreateSecret in another account = %s", body)
	}
	if err := b.Advance(30 * time.Minute); err != nil {
		t.Fatal(err)
	}
	before, reply := toJSON(b.saved()), b.must("DescribeKey", "KeyId", "alias/k")
	if err := b.restart(path); err != nil {
		t.Fatal(err)
	}
	if after := toJSON(b.saved()); !bytes.Equal(before, after) {
		t.Errorf("state\n before %s\n  after %s", before, after)
	}
	if got := b.must("DescribeKey", "KeyId", "alias/k"); anonymous(got) != anonymous(reply) {
		t.Errorf("DescribeKey\n before %s\n  after %s", reply, got)
	}
	for _, name := range []string{"sealed", "plain"} {
		if data, _ := b.current(name); data != canary {
			t.Errorf("%s: another value than before", name)
		}
	}
	if got, _ := b.as(role, "GetSecretValue", "SecretName", "plain"); got != "200 " {
		t.Errorf("a session from before = %s, want 200", got)
	}
	if got, _ := b.as(other, "GetSecretValue", "SecretName", "other"); got != "200 " {
		t.Errorf("a secret of another account = %s, want 200", got)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(canary)) {
		t.Error("the file holds a secret value in the clear")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, want 0600", info.Mode())
	}
}

// What is read is kept too: a value that a rotation made on the way must not be another one after a crash.
func TestStateOfRotations(t *testing.T) {
	t.Parallel()
	b, path := stateBench(t)
	b.sample("Rds SingleUser", "SecretName", "m", "EnableAutomaticRotation", "true", "RotationInterval", "7d")
	b.pass(7 * day)
	before := b.must("GetSecretValue", "SecretName", "m")
	if err := b.restart(path); err != nil {
		t.Fatal(err)
	}
	if after := b.must("GetSecretValue", "SecretName", "m"); withoutRequest(after) != withoutRequest(before) {
		t.Error("a rotated value is another one after the restart")
	}
}

func withoutRequest(body string) string { return body[:strings.LastIndex(body, `"RequestId"`)] }

// A file that can't be used stays as it is, and the error says what it is.
func TestStateRefused(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	path := filepath.Join(dir, "good")
	b := newBench(t)
	if err := b.restart(path); err != nil {
		t.Fatal(err)
	}
	b.create()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := strings.Cut(string(good), "\n")
	cases := map[string]string{
		"":                         "is not a state file",
		"\n":                       "is not a state file",
		"secrets: {}":              "is not a state file",
		"{}\n" + body:              "is not a state file",
		head:                       "is broken: its checksum does not fit",
		head + "\n":                "is broken: its checksum does not fit",
		string(good[:len(good)-1]): "is broken: its checksum does not fit",
		string(good) + "\n":        "is broken: its checksum does not fit",
		strings.Replace(string(good), `_state":1`, `_state":2`, 1) + "what only a newer one understands": "has format 2, this kmsrun reads up to 1",
	}
	for i := 0; i < len(good); i += 7 {
		broken := bytes.Clone(good)
		broken[i] ^= 0x10
		cases[string(broken)] = ""
	}
	for text, want := range cases {
		path := filepath.Join(dir, "bad")
		save(t, path, text)
		err := New(Config{}).OpenState(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%.60q: %v, want an error with the path and %q", text, err, want)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != text {
			t.Errorf("%.60q was changed", text)
		}
	}
	if err := New(Config{}).OpenState(dir); err == nil {
		t.Error("a directory is taken")
	}
	if err := New(Config{Region: "cn-beijing"}).OpenState(path); err == nil || !strings.Contains(err.Error(), `is of region "cn-hangzhou", not "cn-beijing"`) {
		t.Errorf("another region: %v", err)
	}
	if err := New(Config{}).OpenState(filepath.Join(dir, "none", "state")); err == nil {
		t.Error("a file in no directory is taken")
	}
}

func TestStateLock(t *testing.T) {
	t.Parallel()
	b, path := stateBench(t)
	err := New(Config{}).OpenState(path)
	if !errors.Is(err, errLocked) {
		t.Errorf("second emulator: %v, want %v", err, errLocked)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	next := New(Config{})
	if err := next.OpenState(path); err != nil {
		t.Errorf("after Close: %v", err)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}

// A change that can't be written has not happened, and the next one can.
func TestStateNotWritable(t *testing.T) {
	t.Parallel()
	b, path := stateBench(t)
	b.create()
	if err := os.Mkdir(path+".tmp", 0o700); err != nil {
		t.Fatal(err)
	}
	put := []string{"SecretName", "s", "VersionId", "v2", "SecretData", canary + "2"}
	status, body := b.call("PutSecretValue", put...)
	if got, want := code(t, status, body), "500 InternalFailure"; got != want || !strings.Contains(body, path) {
		t.Errorf("PutSecretValue = %s, want %s and the path", body, want)
	}
	if err := b.Put("other", "v1", []byte(canary)); err == nil {
		t.Error("Put succeeds")
	}
	if err := b.Advance(time.Hour); err == nil || b.Emulator.clock.lead() != 0 {
		t.Errorf("Advance = %v and is %v ahead, want an error and 0", err, b.Emulator.clock.lead())
	}
	if data, id := b.current("s"); data != canary+"-v1" || id != "v1" {
		t.Errorf("version = %s, want v1", id)
	}
	if err := os.Remove(path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	b.must("PutSecretValue", put...)
	if err := b.restart(path); err != nil {
		t.Fatal(err)
	}
	if got, want := b.stages(), "v1[ACSPrevious] v2[ACSCurrent]"; got != want {
		t.Errorf("stages = %s, want %s", got, want)
	}
	if _, id := b.current("other"); id != "" {
		t.Error("what was refused has happened")
	}
}

// The state wins over the seed, which only adds.
func TestStateAndSeed(t *testing.T) {
	t.Parallel()
	b, path := stateBench(t)
	seed := seedDir(t, map[string]string{"seed.yaml": "secrets: {a: one, b: {value: one, version: x}}\nkeys: {k: {description: first}}\n"})
	load := func() {
		t.Helper()
		if err := b.restart(path); err != nil {
			t.Fatal(err)
		}
		if _, err := b.LoadSeed(seed); err != nil {
			t.Fatal(err)
		}
	}
	load()
	b.must("PutSecretValue", "SecretName", "a", "VersionId", "v2", "SecretData", "two")
	b.must("DeleteSecret", "SecretName", "b")
	b.must("DisableKey", "KeyId", "k")
	save(t, seed, "secrets: {a: changed, b: changed, c: new}\nkeys: {k: {description: changed}, l: {}}\n")
	load()
	if data, _ := b.current("a"); data != "two" {
		t.Error("the seed has changed a secret of the state")
	}
	if data, _ := b.current("c"); data != "new" {
		t.Error("the seed has not added its new secret")
	}
	if k := b.key("k"); k.Description != "first" || k.KeyState != "Disabled" {
		t.Errorf("key = %+v, want it as it was", k)
	}
	b.key("l")
	status, body := b.call("GetSecretValue", "SecretName", "b")
	if got, want := code(t, status, body), "409 Rejected.ResourceInDeleteWindow"; got != want {
		t.Errorf("a deleted secret = %s, want %s", got, want)
	}
}

// A symlink stays one, and old permissions do not widen the new file's.
func TestStateThroughLink(t *testing.T) {
	t.Parallel()
	dir := stateDir(t)
	path, link := filepath.Join(dir, "state"), filepath.Join(dir, "link")
	b := newBench(t)
	if err := b.restart(path); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Close(), os.Chmod(path, 0o644), os.Symlink("state", link)); err != nil {
		t.Fatal(err)
	}
	if err := b.restart(link); err != nil {
		t.Fatal(err)
	}
	b.create()
	if to, err := os.Readlink(link); err != nil || to != "state" {
		t.Errorf("link = %q, %v, want it to be left", to, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, want 0600", info.Mode())
	}
	_ = b.Close()
}

// Concurrent callers are answered one after the other, and all that they were told is there.
func TestStateConcurrent(t *testing.T) {
	t.Parallel()
	b, path := stateBench(t)
	const callers, calls = 4, 8
	done := make(chan string)
	for caller := range callers {
		requests := make([]*http.Request, calls)
		for i := range requests {
			requests[i] = b.request(b.signed("CreateSecret", given("SecretName", fmt.Sprintf("s%d-%d", caller, i), "VersionId", "v1", "SecretData", canary)))
		}
		go func() {
			for _, r := range requests {
				if status, body := served(b, r); status != http.StatusOK {
					done <- body
					return
				}
			}
			done <- ""
		}()
	}
	for range callers {
		if fault := <-done; fault != "" {
			t.Error(fault)
		}
	}
	if err := b.restart(path); err != nil {
		t.Fatal(err)
	}
	if got, want := len(b.store.secrets), callers*calls; got != want {
		t.Errorf("%d secrets, want %d", got, want)
	}
}

// TestStateIsWrittenToAFileOfItsOwn: who put one in its place, open to all, does not see it.
func TestStateIsWrittenToAFileOfItsOwn(t *testing.T) {
	t.Parallel()
	b, path := stateBench(t)
	prepared, err := os.OpenFile(path+".tmp", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	if err := b.Put("a", "v1", []byte("canary")); err != nil {
		t.Fatal(err)
	}
	if info, err := prepared.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("got %v, %v, want it empty", info, err)
	}
}
