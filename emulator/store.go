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
	now         func() time.Time
	account     string
	arn, keyARN string // of a secret and a key, without their names

	mu      sync.Mutex // several clients write here, through a protocol that has no owner
	secrets map[string]*secret
	keys    map[string]*key
}

func newStore(now func() time.Time, region, account string) *store {
	arn := "acs:kms:" + region + ":" + account + ":"
	return &store{
		now: now, account: account, arn: arn + "secret/", keyARN: arn + "key/",
		secrets: map[string]*secret{}, keys: map[string]*key{},
	}
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
		s.settle(now)
		return true
	}
	if !now.Before(s.deleteAt) {
		delete(st.secrets, s.name)
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
	if err := v.check(); err != nil {
		return "", version{}, err
	}
	v.created = st.now()
	have, err := s.put(v, stages)
	if err != nil {
		return "", version{}, err
	}
	return s.name, have.clone(), nil
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
	if err != nil {
		return err
	}
	if err := v.check(); err != nil {
		return err
	}
	v.created = st.now()
	_, err = s.put(v, []string{stageCurrent})
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
	if err := v.check(); err != nil {
		return "", false, err
	}
	v.created = st.now()
	_, err = s.put(v, nil)
	return v.id, false, err
}
