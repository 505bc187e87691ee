package emulator

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// keyModel and secretModel are what a client believes to be there.
type (
	keyModel struct {
		state       keyState
		description string
		deleteAt    time.Time
		guarded     bool
		tags        map[string]string
	}
	secretModel struct {
		key      string // empty is none
		data     map[string]string
		current  string // version ids
		previous string
		deleteAt time.Time
		tags     map[string]string
	}
)

// world is an emulator with a state file, and what it should hold.
type world struct {
	*bench
	path    string
	keys    map[string]*keyModel
	aliases map[string]string
	secrets map[string]*secretModel
	made    int
}

var (
	anyName  = rapid.SampledFrom([]string{"a", "b/c", "d"})
	anyAlias = rapid.SampledFrom([]string{"alias/x", "alias/y"})
	anyTag   = rapid.SampledFrom([]string{"t", "u"})
	anyDays  = rapid.IntRange(7, 30)
)

// want makes a call that has to end with that code, "" being success.
func (w *world) want(t *rapid.T, code, action string, pairs ...string) {
	t.Helper()
	status, body := w.call(action, pairs...)
	var reply struct{ Code string }
	decode(w.t, body, &reply)
	if reply.Code != code || (code == "") != (status == 200) {
		t.Fatalf("%s %q = %d %s, want %q", action, pairs, status, strings.ReplaceAll(body, canary, "***"), code)
	}
}

// settle forgets what is gone by now.
func (w *world) settle() {
	now := w.now()
	maps.DeleteFunc(w.keys, func(_ string, k *keyModel) bool { return k.state == keyDeleting && !now.Before(k.deleteAt) })
	maps.DeleteFunc(w.aliases, func(_, id string) bool { return w.keys[id] == nil })
	maps.DeleteFunc(w.secrets, func(_ string, s *secretModel) bool { return !s.deleteAt.IsZero() && !now.Before(s.deleteAt) })
}

// oneKey draws an id; there may be none of that id any more.
func (w *world) oneKey(t *rapid.T) (string, *keyModel) {
	ids := append(slices.Sorted(maps.Keys(w.keys)), "gone")
	id := rapid.SampledFrom(ids).Draw(t, "key")
	return id, w.keys[id]
}

// onKey makes a call about a key that is refused when there is none, or when one of the refusals fits.
func (w *world) onKey(t *rapid.T, action string, refusal func(*keyModel) string, change func(*keyModel), pairs ...string) {
	id, k := w.oneKey(t)
	code := "Forbidden.KeyNotFound"
	if k != nil {
		code = refusal(k)
	}
	w.want(t, code, action, append(pairs, "KeyId", id)...)
	if code == "" {
		change(k)
	}
}

func (w *world) createKey(*rapid.T) {
	text := fmt.Sprint("key ", w.made)
	w.made++
	w.keys[w.newKeyID("Description", text)] = &keyModel{state: keyEnabled, description: text, tags: map[string]string{}}
}

func (w *world) enableKey(t *rapid.T) {
	state := rapid.SampledFrom([]keyState{keyEnabled, keyDisabled}).Draw(t, "state")
	w.onKey(t, map[keyState]string{keyEnabled: "EnableKey", keyDisabled: "DisableKey"}[state],
		func(k *keyModel) string { return refuse(k.state == keyDeleting, "Rejected.StateModifiedFailed") },
		func(k *keyModel) { k.state = state })
}

func (w *world) scheduleKey(t *rapid.T) {
	days := anyDays.Draw(t, "days")
	w.onKey(t, "ScheduleKeyDeletion",
		func(k *keyModel) string {
			return refuse(k.state == keyDeleting || k.guarded, "Rejected.StateModifiedFailed")
		},
		func(k *keyModel) { k.state, k.deleteAt = keyDeleting, w.now().Add(time.Duration(days)*day) },
		"PendingWindowInDays", fmt.Sprint(days))
}

func (w *world) cancelKey(t *rapid.T) {
	w.onKey(t, "CancelKeyDeletion",
		func(k *keyModel) string { return refuse(k.state != keyDeleting, "Rejected.StateModifiedFailed") },
		func(k *keyModel) { k.state = keyEnabled })
}

func (w *world) guardKey(t *rapid.T) {
	on := rapid.Bool().Draw(t, "on")
	w.onKey(t, "SetDeletionProtection", deleting, func(k *keyModel) { k.guarded = on }, "EnableDeletionProtection", fmt.Sprint(on))
}

func (w *world) describeKey(t *rapid.T) {
	text := fmt.Sprint("text ", w.made)
	w.made++
	w.onKey(t, "UpdateKeyDescription", deleting, func(k *keyModel) { k.description = text }, "Description", text)
}

func (w *world) turnKey(t *rapid.T) {
	w.onKey(t, "CreateKeyVersion", unusable, func(*keyModel) {})
}

func (w *world) tagKey(t *rapid.T) {
	tag, value := anyTag.Draw(t, "tag"), fmt.Sprint(w.made)
	w.made++
	w.onKey(t, "TagResource", deleting, func(k *keyModel) { k.tags[tag] = value }, "Tags", compactJSON([]map[string]string{{"TagKey": tag, "TagValue": value}}))
}

func (w *world) untagKey(t *rapid.T) {
	tag := anyTag.Draw(t, "tag")
	w.onKey(t, "UntagResource", deleting, func(k *keyModel) { delete(k.tags, tag) }, "TagKeys", compactJSON([]string{tag}))
}

func (w *world) alias(t *rapid.T) {
	alias := anyAlias.Draw(t, "alias")
	id, k := w.oneKey(t)
	code := ""
	switch {
	case k == nil:
		code = "Forbidden.KeyNotFound"
	case w.aliases[alias] != "":
		code = "AliasAlreadyExists"
	case k.state == keyDeleting:
		code = "Rejected.StateModifiedFailed"
	}
	w.want(t, code, "CreateAlias", "AliasName", alias, "KeyId", id)
	if code == "" {
		w.aliases[alias] = id
	}
}

func (w *world) unalias(t *rapid.T) {
	alias := anyAlias.Draw(t, "alias")
	w.want(t, refuse(w.aliases[alias] == "", "Forbidden.AliasNotFound"), "DeleteAlias", "AliasName", alias)
	delete(w.aliases, alias)
}

func refuse(when bool, code string) string {
	if when {
		return code
	}
	return ""
}

func deleting(k *keyModel) string { return refuse(k.state == keyDeleting, "Rejected.PendingDeletion") }

// unusable is what becomes of calls that need the key to work.
func unusable(k *keyModel) string {
	if k == nil {
		return "Forbidden.KeyNotFound"
	}
	return map[keyState]string{keyEnabled: "", keyDisabled: "Rejected.Disabled", keyDeleting: "Rejected.PendingDeletion"}[k.state]
}

func (w *world) locked(s *secretModel) string {
	if s.key == "" {
		return ""
	}
	return unusable(w.keys[s.key])
}

func (w *world) createSecret(t *rapid.T) {
	name := anyName.Draw(t, "name")
	key := ""
	if rapid.Bool().Draw(t, "with key") {
		key, _ = w.oneKey(t)
	}
	code := ""
	if key != "" {
		code = unusable(w.keys[key])
	}
	if code == "Forbidden.KeyNotFound" {
		code = "Forbidden.ResourceNotFound"
	}
	if s := w.secrets[name]; s != nil {
		code = refuse(true, map[bool]string{true: "Rejected.ResourceExist", false: "Rejected.ResourceInDeleteWindow"}[s.deleteAt.IsZero()])
	}
	w.want(t, code, "CreateSecret", "SecretName", name, "VersionId", "v", "SecretData", canary, "EncryptionKeyId", key)
	if code == "" {
		w.secrets[name] = &secretModel{key: key, data: map[string]string{"v": canary}, current: "v", tags: map[string]string{}}
	}
}

// onSecret makes a call about a secret that is refused when there is none or, unless it is meant for those, in the window.
func (w *world) onSecret(t *rapid.T, action string, refusal func(*secretModel) string, change func(name string, s *secretModel), pairs ...string) {
	name := anyName.Draw(t, "name")
	s := w.secrets[name]
	code := "Forbidden.ResourceNotFound"
	if s != nil {
		code = refusal(s)
	}
	w.want(t, code, action, append(pairs, "SecretName", name)...)
	if code == "" {
		change(name, s)
	}
}

func inWindow(s *secretModel) string {
	return refuse(!s.deleteAt.IsZero(), "Rejected.ResourceInDeleteWindow")
}

func (w *world) putSecret(t *rapid.T) {
	id := fmt.Sprint("v", w.made)
	w.made++
	w.onSecret(t, "PutSecretValue", func(s *secretModel) string {
		if code := inWindow(s); code != "" {
			return code
		}
		return w.locked(s)
	}, func(_ string, s *secretModel) {
		s.previous, s.current, s.data[id] = s.current, id, canary+id
	}, "VersionId", id, "SecretData", canary+id)
}

func (w *world) deleteSecret(t *rapid.T) {
	days, force := anyDays.Draw(t, "days"), rapid.Bool().Draw(t, "force")
	w.onSecret(t, "DeleteSecret", inWindow, func(name string, s *secretModel) {
		s.deleteAt = w.now().Add(time.Duration(days) * day)
		if force {
			delete(w.secrets, name)
		}
	}, "RecoveryWindowInDays", fmt.Sprint(days), "ForceDeleteWithoutRecovery", fmt.Sprint(force))
}

func (w *world) restoreSecret(t *rapid.T) {
	w.onSecret(t, "RestoreSecret", func(s *secretModel) string { return refuse(s.deleteAt.IsZero(), "Rejected.ResourceInUse") },
		func(_ string, s *secretModel) { s.deleteAt = time.Time{} })
}

func (w *world) tagSecret(t *rapid.T) {
	tag, value := anyTag.Draw(t, "tag"), fmt.Sprint(w.made)
	w.made++
	w.onSecret(t, "TagResource", inWindow, func(_ string, s *secretModel) { s.tags[tag] = value },
		"Tags", compactJSON([]map[string]string{{"TagKey": tag, "TagValue": value}}))
}

func (w *world) passTime(t *rapid.T) {
	w.pass(time.Duration(rapid.IntRange(1, 12).Draw(t, "days")) * day)
	w.settle()
}

// startAgain ends the emulator and begins another on its file, which must hold the very same state.
func (w *world) startAgain(t *rapid.T) {
	before := toJSON(w.saved())
	if err := w.restart(w.path); err != nil {
		t.Fatal(err)
	}
	if after := toJSON(w.saved()); !bytes.Equal(before, after) {
		t.Fatalf("state\n before %s\n  after %s", before, after)
	}
	w.compare(t)
}

// compare asks for everything.
func (w *world) compare(t *rapid.T) {
	var listed keysReply
	decode(w.t, w.must("ListKeys", "PageSize", "100"), &listed)
	if got, want := listed.TotalCount, len(w.keys); got != want {
		t.Fatalf("%d keys, want %d", got, want)
	}
	for id, k := range w.keys {
		m := w.key(id)
		var tags keyTagsReply
		decode(w.t, w.must("ListResourceTags", "KeyId", id), &tags)
		found := map[string]string{}
		for _, tag := range tags.Tags.Tag {
			found[tag.TagKey] = tag.TagValue
		}
		got := fmt.Sprint(m.KeyState, m.Description, m.DeletionProtection, found)
		want := fmt.Sprint(k.state, k.description, map[bool]string{true: "Enabled", false: "Disabled"}[k.guarded], k.tags)
		if got != want {
			t.Fatalf("key %s = %s, want %s", id, got, want)
		}
	}
	var aliases aliasesReply
	decode(w.t, w.must("ListAliases"), &aliases)
	got := map[string]string{}
	for _, alias := range aliases.Aliases.Alias {
		got[alias.AliasName] = alias.KeyID
	}
	if !maps.Equal(got, w.aliases) {
		t.Fatalf("aliases = %v, want %v", got, w.aliases)
	}
	w.compareSecrets(t)
}

func (w *world) compareSecrets(t *rapid.T) {
	for _, name := range []string{"a", "b/c", "d"} {
		s := w.secrets[name]
		code := "Forbidden.ResourceNotFound"
		if s != nil {
			code = inWindow(s)
			if code == "" {
				code = w.locked(s)
			}
		}
		w.want(t, code, "GetSecretValue", "SecretName", name)
		if s == nil {
			continue
		}
		var told describeReply
		decode(w.t, w.must("DescribeSecret", "SecretName", name, "FetchTags", "true"), &told)
		found := map[string]string{}
		for _, tag := range told.Tags.Tag {
			found[tag.Key] = tag.Value
		}
		if !maps.Equal(found, s.tags) || told.EncryptionKeyID != s.key {
			t.Fatalf("secret %s has tags %v and key %q, want %v and %q", name, found, told.EncryptionKeyID, s.tags, s.key)
		}
		for stage, id := range map[string]string{stageCurrent: s.current, stagePrevious: s.previous} {
			if code != "" || id == "" {
				continue
			}
			var value valueReply
			decode(w.t, w.must("GetSecretValue", "SecretName", name, "VersionStage", stage), &value)
			if value.VersionID != id || value.SecretData != s.data[id] {
				t.Fatalf("secret %s: %s is version %s, or has another value than was put; want %s", name, stage, value.VersionID, id)
			}
		}
	}
}

// Keys and secrets against a model, with restarts in between.
func TestStateAgainstModel(t *testing.T) {
	t.Parallel()
	dir, runs := stateDir(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		w := &world{
			bench: newBench(t), path: filepath.Join(dir, fmt.Sprint(runs)),
			keys: map[string]*keyModel{}, aliases: map[string]string{}, secrets: map[string]*secretModel{},
		}
		if err := w.restart(w.path); err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = w.Close(); _ = os.Remove(w.path) }()
		rt.Repeat(map[string]func(*rapid.T){
			"create key": w.createKey, "enable key": w.enableKey, "schedule key": w.scheduleKey, "cancel key": w.cancelKey,
			"guard key": w.guardKey, "describe key": w.describeKey, "turn key": w.turnKey, "tag key": w.tagKey, "untag key": w.untagKey,
			"alias": w.alias, "unalias": w.unalias,
			"create secret": w.createSecret, "put secret": w.putSecret, "delete secret": w.deleteSecret,
			"restore secret": w.restoreSecret, "tag secret": w.tagSecret,
			"time": w.passTime, "restart": w.startAgain,
		})
		w.compare(rt)
	})
}
