package seal

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// keyDir is a directory on another mount than t.TempDir.
func keyDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "kmsrun-seal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// newIdentity writes an identity with a mode.
func newIdentity(t testing.TB, dir string, mode os.FileMode) (path string, identity *age.X25519Identity) {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return writeKey(t, dir, "# made by a test\n\n"+identity.String()+"\n", mode), identity
}

func writeKey(t testing.TB, dir, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, "identity")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func nothing(string) (string, bool) { return "", false }

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// declared is a declaration with a sealed file and its identity.
func declared(t testing.TB) config.Config {
	t.Helper()
	c := config.Default()
	c.KMS.Region = "cn-hangzhou"
	c.Sealed.File = filepath.Join(t.TempDir(), "app.age")
	c.Sealed.Identity, _ = newIdentity(t, keyDir(t), 0o400)
	return c
}

func newFile(t testing.TB, c config.Config) *File {
	t.Helper()
	f, err := New(c, nothing, silent())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func id(name string) secret.ID { return secret.ID{Name: name, Stage: secret.StageCurrent} }

func value(text, version string) secret.Value {
	return secret.NewValue([]byte(text), version, []string{"ACSCurrent"}, now)
}

func at(when time.Time) func(secret.ID) time.Time {
	return func(secret.ID) time.Time { return when }
}

// TestRoundTrip: whatever KMS may return comes back as it was, or a start from the
// file would look like a change.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var before secret.Snapshot
		var ids []secret.ID
		for i := range rapid.IntRange(0, 4).Draw(t, "secrets") {
			id := secret.ID{Name: fmt.Sprintf("a/%d", i), Stage: rapid.SampledFrom([]string{"ACSCurrent", "ACSPrevious"}).Draw(t, "stage"), Auth: rapid.SampledFrom([]string{"", "x"}).Draw(t, "auth")}
			ids = append(ids, id)
			data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
			if rapid.Bool().Draw(t, "text") {
				data = []byte(rapid.String().Draw(t, "text"))
			}
			created := now.Add(time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "created")))
			before = before.With(id, secret.NewValue(data, rapid.String().Filter(func(s string) bool { return s == strings.ToValidUTF8(s, "") }).Draw(t, "version"), []string{"ACSCurrent", "x"}, created))
		}
		text, err := encode(document{Sealed: now, KMS: origin{"r", "e"}}, before, at(now))
		if err != nil {
			t.Fatal(err)
		}
		after, place, err := decode(text)
		if err != nil {
			t.Fatal(err)
		}
		if changed := append(after.Snapshot.Changed(before), before.Changed(after.Snapshot)...); len(changed) > 0 {
			t.Errorf("changed on the way: %v", changed)
		}
		if place != (origin{"r", "e"}) || !after.Sealed.Equal(now) {
			t.Errorf("got %v, %s; want what was given", place, after.Sealed)
		}
		for _, id := range ids {
			got, _ := after.Snapshot.Get(id)
			want, _ := before.Get(id)
			if !got.Created.Equal(want.Created) || !reflect.DeepEqual(got.Stages, want.Stages) || !after.Read[id].Equal(now) {
				t.Errorf("%s: got created %s, stages %v, read %s", id, got.Created, got.Stages, after.Read[id])
			}
		}
	})
}

// TestEveryFieldIsSealed: a start from the file must not lose what a Value says of
// itself. It fails when a field is added to Value and not to entry.
func TestEveryFieldIsSealed(t *testing.T) {
	t.Parallel()
	want := value("text", "v1")
	fields := reflect.ValueOf(&want).Elem()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if !field.CanSet() || !field.IsZero() {
			continue
		}
		switch field.Kind() {
		case reflect.Bool:
			field.SetBool(true)
		case reflect.String:
			field.SetString("set")
		case reflect.Struct:
			field.Set(reflect.ValueOf(now))
		default:
			t.Fatalf("this test does not know how to set %s", fields.Type().Field(i).Name)
		}
	}
	text, err := encode(document{}, secret.Snapshot{}.With(id("a"), want), at(now))
	if err != nil {
		t.Fatal(err)
	}
	contents, _, err := decode(text)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := contents.Snapshot.Get(id("a"))
	for i := range fields.NumField() {
		name := fields.Type().Field(i)
		if name.IsExported() && !reflect.DeepEqual(reflect.ValueOf(got).Field(i).Interface(), fields.Field(i).Interface()) {
			t.Errorf("%s is not sealed: got %v, want %v", name.Name, reflect.ValueOf(got).Field(i), fields.Field(i))
		}
	}
}

func canaries(n int) secret.Snapshot {
	var snapshot secret.Snapshot
	for i := range n {
		text := fmt.Sprintf(`{"password":"canary-%d-7f3a9c51 <&> é"}`, i)
		if i%10 == 9 {
			text = "\xff canary-binary"
		}
		snapshot = snapshot.With(id(fmt.Sprintf("prod/%d", i)), value(text, "v1"))
	}
	return snapshot
}

// TestOpensWithTheAgeTool: at 3 am, with nothing of ours at hand.
func TestOpensWithTheAgeTool(t *testing.T) {
	t.Parallel()
	c := declared(t)
	f := newFile(t, c)
	snapshot := canaries(200)
	if err := f.Write(snapshot, at(now)); err != nil {
		t.Fatal(err)
	}
	sealed, err := os.ReadFile(c.Sealed.File)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.Sealed.File)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode: got %v, %v; want 0600", info.Mode(), err)
	}
	if bytes.Contains(sealed, []byte("canary")) || bytes.Contains(sealed, []byte("prod/")) {
		t.Error("plaintext in the sealed file")
	}
	if _, err := exec.LookPath("age"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no age, and CI skips nothing")
		}
		t.Skip("SKIPPED: no age")
	}
	text, err := exec.Command("age", "-d", "-i", c.Sealed.Identity, c.Sealed.File).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"kms://prod/0": {`, `"value": "{\"password\":\"canary-0-7f3a9c51 <&> é\"}"`, `"version": "v1"`, `"value_base64": "/yBjYW5hcnktYmluYXJ5"`, `"region": "cn-hangzhou"`,
	} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("what age prints lacks %s", want)
		}
	}
}

// TestRefusals: each has its own text, and none quotes what is in the file.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := declared(t)
	ids := []secret.ID{id("a"), id("b")}
	snapshot := secret.Snapshot{}.With(id("a"), value("canary-a", "v1")).With(id("b"), value("canary-b", "v1"))
	path := c.Sealed.File
	rewrite := func(change func([]byte) []byte) func(*testing.T) {
		return func(t *testing.T) {
			sealed, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(sealed), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name   string
		spoil  func(t *testing.T)
		change func(c *config.Config)
		ids    []secret.ID
		later  time.Duration
		want   string
	}{
		{name: "as it was"},
		{name: "fewer references", ids: ids[:1]},
		{name: "not there", spoil: func(*testing.T) { _ = os.Remove(path) }, want: "can't be read: no such file or directory"},
		{name: "truncated", spoil: rewrite(func(b []byte) []byte { return b[:len(b)-10] }), want: "truncated: its end is missing"},
		{name: "truncated in its first line", spoil: rewrite(func(b []byte) []byte { return b[:10] }), want: "truncated: its end is missing"},
		{name: "empty", spoil: rewrite(func([]byte) []byte { return nil }), want: "truncated: its end is missing"},
		{name: "tampered", spoil: rewrite(func(b []byte) []byte { b[len(b)-60] ^= 1; return b }), want: "tampered with or damaged: it is not what was sealed"},
		{name: "a line less", spoil: rewrite(func(b []byte) []byte { return append(b[:300], b[365:]...) }), want: "tampered with or damaged: it is not what was sealed"},
		{name: "no age", spoil: rewrite(func([]byte) []byte { return []byte(strings.Repeat("x", 99)) }), want: "not a sealed file: it does not begin as armored age does"},
		{name: "writable", spoil: func(*testing.T) { _ = os.Chmod(path, 0o620) }, want: "others may write it (mode -rw--w----): kmsrun did not leave it so (Kubernetes' fsGroup does, but for fsGroupChangePolicy: OnRootMismatch)"},
		{name: "a pipe", spoil: func(t *testing.T) {
			_ = os.Remove(path)
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}, want: "not a regular file"},
		{name: "wrong key", change: func(c *config.Config) { c.Sealed.Identity, _ = newIdentity(t, keyDir(t), 0o400) }, want: "wrong key: sealed to other recipients than the identity of sealed.identity_file"},
		{name: "too old", later: 25 * time.Hour, want: "too old: kms://a was read 25h0m0s ago, and sealed.max_age (or watch.max_stale) allows 24h0m0s"},
		{
			name: "older than on_stale: exit allows", later: 2 * time.Hour,
			change: func(c *config.Config) { c.Watch.OnStale, c.Watch.MaxStale = "exit", time.Hour },
			want:   "too old: kms://a was read 2h0m0s ago, and sealed.max_age (or watch.max_stale) allows 1h0m0s",
		},
		{name: "unready for long", later: 2 * time.Hour, change: func(c *config.Config) { c.Watch.MaxStale = time.Hour }},
		{name: "just in time", later: 24 * time.Hour},
		{name: "other references", ids: []secret.ID{id("a"), id("c")}, want: "made for other references: it has no kms://c"},
		{name: "another region", change: func(c *config.Config) { c.KMS.Region = "cn-beijing" }, want: `made for other references: those of region "cn-hangzhou" and endpoint "", not of region "cn-beijing" and endpoint ""`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := newFile(t, c).Write(snapshot, at(now)); err != nil {
				t.Fatal(err)
			}
			if test.spoil != nil {
				test.spoil(t)
			}
			other := c
			if test.change != nil {
				test.change(&other)
			}
			if test.ids == nil {
				test.ids = ids
			}
			contents, err := newFile(t, other).Open(now.Add(test.later), test.ids)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if v, _ := contents.Snapshot.Get(id("a")); err == nil && string(v.Bytes()) != "canary-a" {
				t.Errorf("a: got version %q of other bytes", v.Version)
			}
		})
	}
}

// TestAnothersFile: whoever may write beside the file could seal values of his own.
func TestAnothersFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: a sealed file of another user: it takes root to make one")
	}
	c := declared(t)
	f := newFile(t, c)
	if err := f.Write(secret.Snapshot{}.With(id("a"), value("canary-a", "v1")), at(now)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(c.Sealed.File, 4711, -1); err != nil {
		t.Fatal(err)
	}
	_, err := f.Open(now, []secret.ID{id("a")})
	if want := "owned by another user (uid 4711): kmsrun did not write it"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestDamage: no prefix of a file opens, and no file with a changed byte does, wherever
// it is (a sample of them: each takes a while).
func TestDamage(t *testing.T) {
	t.Parallel()
	c := declared(t)
	f := newFile(t, c)
	if err := f.Write(secret.Snapshot{}.With(id("a"), value("canary-a", "v1")), at(now)); err != nil {
		t.Fatal(err)
	}
	whole, err := f.read()
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if _, err := f.decrypt(whole[:n]); err == nil || !strings.HasPrefix(err.Error(), "truncated") {
			t.Fatalf("the first %d bytes: got %v, want truncated", n, err)
		}
		if n%11 != 0 {
			continue
		}
		changed := bytes.Clone(whole)
		changed[n] ^= 0x11
		if text, err := f.decrypt(changed); err == nil && !bytes.Contains(text, []byte("canary-a")) || err != nil && strings.Contains(err.Error(), "canary") {
			t.Fatalf("byte %d changed: opened, or quoted in %v", n, err)
		}
	}
}

// TestOddContents: what opens may still not be ours.
func TestOddContents(t *testing.T) {
	t.Parallel()
	const head = `"format": "kmsrun sealed snapshot", "version": 1`
	for text, want := range map[string]string{
		`canary`: "opens, but holds no snapshot of kmsrun's",
		`{}`:     "opens, but holds no snapshot of kmsrun's",
		`{"format": "kmsrun sealed snapshot", "version": 2}`:                                                       "written by another kmsrun: its format is version 2, this one reads 1",
		`{` + head + `, "secrets": {"kms://a": {"version": "v1"}}}`:                                                `opens, but is not as kmsrun writes it: see the entry of "kms://a"`,
		`{` + head + `, "secrets": {"kms://a": {"value": "canary", "value_base64": "AA=="}}}`:                      `opens, but is not as kmsrun writes it: see the entry of "kms://a"`,
		`{` + head + `, "secrets": {"a b": {"value": "canary"}}}`:                                                  `opens, but is not as kmsrun writes it: see the entry of "a b"`,
		`{` + head + `, "secrets": {"kms://a": null}}`:                                                             `opens, but is not as kmsrun writes it: see the entry of "kms://a"`,
		`{` + head + `, "secrets": {"kms://b": {"value": "", "version": "v"}}}`:                                    "",
		`{` + head + `, "secrets": {"kms://a": {"value": "by hand", "read": "2026-01-02T03:04:05Z", "new": "x"}}}`: "",
	} {
		_, _, err := decode([]byte(text))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// TestKilledWriter: what it left is swept, and what another is writing is not.
func TestKilledWriter(t *testing.T) {
	t.Parallel()
	c := declared(t)
	old, young := filepath.Join(filepath.Dir(c.Sealed.File), ".app.age.1"), filepath.Join(filepath.Dir(c.Sealed.File), ".app.age.2")
	for _, path := range []string{old, young} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, now, now); err != nil {
		t.Fatal(err)
	}
	newFile(t, c).sweep(time.Now())
	_, oldErr := os.Stat(old)
	_, youngErr := os.Stat(young)
	if !os.IsNotExist(oldErr) || youngErr != nil {
		t.Errorf("got %v, %v; want the old one gone, the young one there", oldErr, youngErr)
	}
}
