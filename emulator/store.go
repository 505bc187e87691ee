package emulator

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// store is the state of the emulator. Each method is one atomic step; what it returns is a copy.
type store struct {
	now     func() time.Time
	account string
	prefix  string // of all ARNs
	arn     string // of a secret, without its name

	mu      sync.Mutex // several clients write here, through a protocol that has no owner
	secrets map[string]*secret
	keys    map[string]*key
	aliases map[string]string // ids of keys
	service key               // encrypts the secrets whose creator chose no key; it is in no list
	dirty   bool              // something has changed that a state file does not have yet
}

func newStore(now func() time.Time, region, account string) *store {
	prefix := "acs:kms:" + region + ":" + account + ":"
	st := &store{
		now: now, account: account, prefix: prefix, arn: prefix + "secret/",
		secrets: map[string]*secret{}, keys: map[string]*key{}, aliases: map[string]string{},
		service: newKey("service", ""),
	}
	st.service.turn(now())
	return st
}

// find resolves a name or ARN. A secret whose delete window has passed is gone. An ARN of another account or
// region is not found: nothing is shared with us.
func (st *store) find(ref string) (*secret, error) {
	name, ours := strings.CutPrefix(ref, st.arn)
	if !ours && strings.HasPrefix(ref, "acs:") {
		return nil, errNotFound
	}
	if !validName(name) {
		return nil, invalid("SecretName")
	}
	s, ok := st.secrets[name]
	if !ok || !st.alive(s) {
		return nil, errNotFound
	}
	return s, nil
}

// alive catches up with the clock: it forgets a secret whose delete window has passed, and makes the rotations that
// are due. In the window nothing is rotated (not documented).
func (st *store) alive(s *secret) bool {
	now := st.now()
	if s.deleteAt.IsZero() {
		st.settle(s, now)
		return true
	}
	if !now.Before(s.deleteAt) {
		delete(st.secrets, s.name)
		st.dirty = true
		return false
	}
	return true
}

// usable is find for all that a secret in its delete window refuses. That window closes reads of values too, which is
// likely but undocumented.
func (st *store) usable(ref string) (*secret, error) {
	s, err := st.find(ref)
	if err == nil && !s.deleteAt.IsZero() {
		return nil, errInWindow
	}
	return s, err
}

// usableGeneric is usable for what only the owner of a value does: versions of managed secrets come from rotations.
func (st *store) usableGeneric(ref string) (*secret, error) {
	s, err := st.usable(ref)
	if err == nil && s.kind != kindGeneric {
		return nil, invalid("SecretName") // code not published
	}
	return s, err
}

// put adds a version and returns the secret's name with the version as it is then.
func (st *store) put(ref string, v version, stages []string) (name string, stored version, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usableGeneric(ref)
	if err != nil {
		return "", version{}, err
	}
	have, err := st.putInto(s, v, stages)
	if err != nil {
		return "", version{}, err
	}
	return s.name, have.clone(), nil
}

// putInto is put for those who hold the lock and have the secret.
func (st *store) putInto(s *secret, v version, stages []string) (*version, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	k, err := st.keyFor(&s.facts)
	if err != nil {
		return nil, err
	}
	v.created = st.now()
	have, err := s.put(k, v, stages)
	if err == nil {
		st.dirty = true
	}
	return have, err
}

// set makes v the current version of a secret, which is created when there is none.
func (st *store) set(name string, v version) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usableGeneric(name)
	if errors.Is(err, errNotFound) {
		_, err = st.add(generic(name, v))
		return err
	}
	if err == nil {
		_, err = st.putInto(s, v, []string{stageCurrent})
	}
	return err
}

// renew makes v a new current version of the secret, under its id or, where that is taken, the first free of id-2,
// id-3 and so on; a secret that is not there is created. It returns the id and whether the secret is new.
func (st *store) renew(name string, v version) (id string, created bool, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usableGeneric(name)
	if errors.Is(err, errNotFound) {
		_, err = st.add(generic(name, v))
		return v.id, true, err
	}
	if err != nil {
		return "", false, err
	}
	wanted := v.id
	for n := 2; s.version(v.id) != nil; n++ {
		v.id = fmt.Sprintf("%s-%d", wanted, n)
	}
	_, err = st.putInto(s, v, nil)
	return v.id, false, err
}
