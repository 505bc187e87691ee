package emulator

import (
	"slices"
	"strings"
	"time"
)

// keyState is the state of a key. The text is what DescribeKey calls it.
type keyState string

const (
	keyEnabled  keyState = "Enabled"
	keyDisabled keyState = "Disabled"
	keyDeleting keyState = "PendingDeletion"
	keyWaiting  keyState = "PendingImport" // for material of its owner, which no action here brings
)

// key is a key. Nothing that it refers to is ever changed: copies are safe.
type key struct {
	id, description      string
	spec, usage, origin  string
	protection, instance string
	state                keyState
	created              time.Time
	deleteAt             time.Time    // while it is PendingDeletion
	versions             []keyVersion // in the order of their making; the last one encrypts
	rotation             rotation     // its last date is that of the last version
	guarded              bool         // DeletionProtection
	guardedWhy           string
	policy               ownPolicy
	tags                 []tag
}

// keyVersion is what a key encrypts with. That of an asymmetric key has no material: nothing is done with those.
type keyVersion struct {
	id       string
	created  time.Time
	material []byte
}

// newKey is a key with the defaults of CreateKey.
func newKey(id, description string) key {
	return key{
		id: id, description: description, state: keyEnabled,
		spec: symmetric[0], usage: usageEncrypt, origin: originKMS, protection: "SOFTWARE",
	}
}

func (k *key) symmetric() bool { return slices.Contains(symmetric, k.spec) }

// turn gives the key a new version, which encrypts from then on.
func (k *key) turn(at time.Time) keyVersion {
	v := keyVersion{id: newRequestID(), created: at}
	if k.symmetric() {
		v.material = newMaterial()
	}
	k.versions = append(slices.Clip(k.versions), v)
	k.rotation.last = at
	if k.rotation.interval > 0 {
		k.rotation.next = at.Add(k.rotation.interval)
	}
	return v
}

// addKey stores a key. One of foreign origin has no version until its material comes.
func (st *store) addKey(k key) key {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.dirty = true
	k.created = st.now()
	if k.state != keyWaiting {
		k.turn(k.created)
	}
	st.keys[k.id] = &k
	return k
}

// hasKey tells whether an id is taken.
func (st *store) hasKey(id string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	_, err := st.key(id)
	return err == nil
}

// describeKey returns a copy.
func (st *store) describeKey(ref string) (key, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	k, err := st.key(ref)
	if err != nil {
		return key{}, err
	}
	return *k, nil
}

// alter changes a key in one step. What change refuses, it leaves as it is.
func (st *store) alter(ref string, change func(*key) error) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	k, err := st.key(ref)
	if err != nil {
		return err
	}
	if err := change(k); err != nil {
		return err
	}
	st.dirty = true
	return nil
}

// key resolves an id, alias, or ARN of either, and catches up with the clock.
func (st *store) key(ref string) (*key, error) {
	name, ours := strings.CutPrefix(ref, st.prefix)
	if ours && !strings.HasPrefix(name, aliasPrefix) {
		name = strings.TrimPrefix(name, "key/")
	}
	if strings.HasPrefix(name, aliasPrefix) {
		id, ok := st.aliases[name]
		if !ok {
			return nil, errAliasNotFound
		}
		name = id
	}
	k := st.keys[name]
	if k == nil || !st.lives(k) {
		return nil, errKeyNotFound
	}
	return k, nil
}

// lives forgets a key whose time is over, with its aliases, and makes the rotation that is due: one new version, the
// last of those missed. Only an Enabled key rotates; one that was due while it was not rotates when it is again.
func (st *store) lives(k *key) bool {
	now := st.now()
	if k.state == keyDeleting && !now.Before(k.deleteAt) {
		delete(st.keys, k.id)
		for name, id := range st.aliases {
			if id == k.id {
				delete(st.aliases, name)
			}
		}
		st.dirty = true
		return false
	}
	if r := k.rotation; k.state == keyEnabled && r.interval > 0 && !r.next.After(now) {
		k.turn(r.next.Add(now.Sub(r.next) / r.interval * r.interval))
		st.dirty = true
	}
	return true
}

// listKeys returns one page of the keys that match, oldest first, and how many there are.
func (st *store) listKeys(filters []filter, number, size int) ([]key, int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	var all []key
	for _, k := range st.keys {
		if st.lives(k) && matchAll(filters, k.filtered) {
			all = append(all, *k)
		}
	}
	slices.SortFunc(all, func(a, b key) int { return older(a.created, b.created, a.id, b.id) })
	return page(all, number, size), len(all)
}

// filtered returns what a filter of ListKeys looks at. No key here was made by another service.
func (k *key) filtered(name string) (values []string, known bool) {
	switch name {
	case "KeyState":
		return []string{string(k.state)}, true
	case "KeySpec":
		return []string{k.spec}, true
	case "KeyUsage":
		return []string{k.usage}, true
	case "ProtectionLevel":
		return []string{k.protection}, true
	case "CreatorType":
		return []string{"User"}, true
	case "DKMSInstanceId":
		return []string{k.instance}, true
	}
	return nil, false
}
