package seal

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

const elsewhere = ": whoever copies the one has the other; keep it elsewhere, such as in a systemd credential or a Kubernetes Secret"

// TestIdentityFaults: an identity in the wrong place, or readable by others, is a
// fault of the declaration, found before anything is fetched.
func TestIdentityFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, c *config.Config)
		want   string // KEY is replaced by the identity's path
	}{
		"beside the file": {func(t *testing.T, c *config.Config) {
			c.Sealed.Identity, _ = newIdentity(t, filepath.Dir(c.Sealed.File), 0o400)
		}, `"KEY" lies in the directory of sealed.file` + elsewhere},
		"a link to one beside the file": {func(t *testing.T, c *config.Config) {
			path, _ := newIdentity(t, filepath.Dir(c.Sealed.File), 0o400)
			c.Sealed.Identity = filepath.Join(keyDir(t), "link")
			if err := os.Symlink(path, c.Sealed.Identity); err != nil {
				t.Fatal(err)
			}
		}, `"KEY" lies in the directory of sealed.file` + elsewhere},
		"on the same mount": {func(t *testing.T, c *config.Config) {
			c.Sealed.Identity, _ = newIdentity(t, t.TempDir(), 0o400)
		}, `"KEY" is on the same mount as sealed.file` + elsewhere},
		"readable by the group": {func(t *testing.T, c *config.Config) {
			c.Sealed.Identity, _ = newIdentity(t, keyDir(t), 0o440)
		}, `"KEY" can be read by others (mode -r--r-----): make it mode 0400 (with Kubernetes' fsGroup, in a copy: see docs/outage.md)`},
		"readable by all": {func(t *testing.T, c *config.Config) {
			c.Sealed.Identity, _ = newIdentity(t, keyDir(t), 0o404)
		}, `"KEY" can be read by others (mode -r-----r--): make it mode 0400 (with Kubernetes' fsGroup, in a copy: see docs/outage.md)`},
		"not there":   {func(_ *testing.T, c *config.Config) { c.Sealed.Identity += "x" }, `reading the identity: open KEY: no such file or directory`},
		"a directory": {func(_ *testing.T, c *config.Config) { c.Sealed.Identity = filepath.Dir(c.Sealed.Identity) }, `"KEY" is not a file`},
		"a pipe": {func(t *testing.T, c *config.Config) {
			c.Sealed.Identity = filepath.Join(keyDir(t), "pipe")
			if err := syscall.Mkfifo(c.Sealed.Identity, 0o400); err != nil {
				t.Fatal(err)
			}
		}, `"KEY" is not a file`},
		"no identity": {func(t *testing.T, c *config.Config) {
			c.Sealed.Identity = writeKey(t, keyDir(t), "# age\nAGE-SECRET-KEY-1CANARY\n", 0o400)
		}, `line 2 of "KEY" is not an age identity: want AGE-SECRET-KEY-1... or AGE-PLUGIN-NAME-1...`},
		"empty":         {func(t *testing.T, c *config.Config) { c.Sealed.Identity = writeKey(t, keyDir(t), "\n", 0o400) }, `"KEY" holds no age identity: age-keygen makes one`},
		"no credential": {func(_ *testing.T, c *config.Config) { c.Sealed.Identity = config.CredentialsDir + "id" }, `CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential=id:PATH`},
	} {
		t.Run(name, func(t *testing.T) {
			c := declared(t)
			test.change(t, &c)
			_, err := New(c, nothing, silent())
			want := "sealed.identity_file: " + strings.ReplaceAll(test.want, "KEY", c.Sealed.Identity)
			if strings.Contains(test.want, "-KEY-") {
				want = "sealed.identity_file: " + strings.Replace(test.want, `"KEY"`, `"`+c.Sealed.Identity+`"`, 1)
			}
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if _, ok := errors.AsType[*config.Fault](err); !ok {
				t.Errorf("got a %T, want a *config.Fault", err)
			}
		})
	}
}

func TestNoDirectoryForTheFile(t *testing.T) {
	t.Parallel()
	c := declared(t)
	c.Sealed.File = filepath.Join(filepath.Dir(c.Sealed.File), "none", "app.age")
	_, err := New(c, nothing, silent())
	if err == nil || !strings.HasPrefix(err.Error(), "sealed.file: opening its directory: open ") {
		t.Errorf("got %v", err)
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	c := declared(t)
	other, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	c.Sealed.Recipients = []string{other.Recipient().String()}
	if _, err := New(c, nothing, silent()); err == nil || err.Error() != "sealed.recipients: the identity of sealed.identity_file is not among them: kmsrun could not open what it writes" {
		t.Errorf("without our own: got %v", err)
	}
	c.Sealed.Identity = writeKey(t, keyDir(t), other.String(), 0o400) // a post-quantum one will do too
	f := newFile(t, c)
	if err := f.Write(secret.Snapshot{}.With(id("a"), value("a", "v1")), at(now)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Open(now, []secret.ID{id("a")}); err != nil {
		t.Errorf("with a post-quantum identity: %v", err)
	}
}

// TestCredential is an identity as systemd hands it over.
func TestCredential(t *testing.T) {
	t.Parallel()
	c := declared(t)
	dir := filepath.Dir(c.Sealed.Identity)
	c.Sealed.Identity = config.CredentialsDir + "identity"
	lookup := func(name string) (string, bool) { return dir, name == "CREDENTIALS_DIRECTORY" }
	if _, err := New(c, lookup, silent()); err != nil {
		t.Error(err)
	}
}

// TestPlugin seals and opens by a plugin of our own, found in PATH.
func TestPlugin(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	c := declared(t)
	c.Sealed.Identity = writeKey(t, keyDir(t), plugin.EncodeIdentity("kmsruntest", []byte("good")), 0o400)
	ids, snapshot := []secret.ID{id("a")}, secret.Snapshot{}.With(id("a"), value("canary", "v1"))
	if err := newFile(t, c).Write(snapshot, at(now)); err == nil || !strings.Contains(err.Error(), `encrypting: `) {
		t.Errorf("without the plugin: got %v", err)
	}
	if out, err := exec.Command("go", "build", "-o", bin, "./testdata/age-plugin-kmsruntest").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, recipients := range [][]string{nil, {plugin.EncodeRecipient("kmsruntest", []byte("r"))}} {
		c.Sealed.Recipients = recipients
		f := newFile(t, c)
		if err := f.Write(snapshot, at(now)); err != nil {
			t.Fatal(err)
		}
		contents, err := f.Open(now, ids)
		if v, _ := contents.Snapshot.Get(id("a")); err != nil || string(v.Bytes()) != "canary" {
			t.Errorf("recipients %v: got %v, want what was sealed", recipients, err)
		}
	}
	c.Sealed.Identity = writeKey(t, keyDir(t), plugin.EncodeIdentity("kmsruntest", []byte("bad")), 0o400)
	if _, err := newFile(t, c).Open(now, ids); err == nil || !strings.HasPrefix(err.Error(), "wrong key") {
		t.Errorf("with another identity: got %v, want the wrong key", err)
	}
}

// TestTalkativePlugin: what a plugin says that is none of the protocol is not quoted.
func TestTalkativePlugin(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	if err := os.WriteFile(filepath.Join(bin, "age-plugin-kmsruntest"), []byte("#!/bin/sh\necho bad identity: c4n4ry\ncat >/dev/null\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := declared(t)
	c.Sealed.Identity = writeKey(t, keyDir(t), plugin.EncodeIdentity("kmsruntest", []byte("good")), 0o400)
	err := newFile(t, c).Write(secret.Snapshot{}.With(id("a"), value("canary", "v1")), at(now))
	if want := "kmsruntest plugin: malformed stanza opening line: ..."; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
