package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// store is the state of the emulator. Each method is one atomic step; what it returns is a copy.
type store struct {
	now func() time.Time
	arn string // of a secret, without its name

	mu      sync.Mutex // several clients write here, through a protocol that has no owner
	secrets map[string]*secret
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
	if !ok {
		return nil, errNotFound
	}
	if !s.deleteAt.IsZero() && !st.now().Before(s.deleteAt) {
		delete(st.secrets, name)
		return nil, errNotFound
	}
	return s, nil
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

// create makes a secret whose first version is current.
func (st *store) create(name, description string, v version) (facts, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.add(name, description, v)
}

// add is create for those who hold the lock.
func (st *store) add(name, description string, v version) (facts, error) {
	if err := checkName(name); err != nil {
		return facts{}, err
	}
	if err := v.check(); err != nil {
		return facts{}, err
	}
	if s, err := st.find(name); err == nil {
		if !s.deleteAt.IsZero() {
			return facts{}, errNamePlanned
		}
		return facts{}, errExists
	}
	v.created, v.stages = st.now(), []string{stageCurrent}
	s := &secret{versions: []*version{&v}}
	s.facts = facts{name: name, description: description, created: v.created, updated: v.created}
	st.secrets[name] = s
	return s.facts, nil
}

// put adds a version and returns the secret's name with the version as it is then.
func (st *store) put(ref string, v version, stages []string) (name string, stored version, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
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
	s, err := st.usable(name)
	if errors.Is(err, errNotFound) {
		_, err = st.add(name, "", v)
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

// rotate makes v a new current version of the secret, under its id or, where that is taken, the first free of id-2,
// id-3 and so on; a secret that is not there is created. It returns the id and whether the secret is new.
func (st *store) rotate(name string, v version) (id string, created bool, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(name)
	if errors.Is(err, errNotFound) {
		_, err = st.add(name, "", v)
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

// value finds a version by id, label or both, which must then mean the same one. Neither means ACSCurrent.
func (st *store) value(ref, id, stage string) (facts, version, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return facts{}, version{}, err
	}
	v := s.version(id)
	if id == "" {
		v = s.holder(cmp.Or(stage, stageCurrent))
	}
	if v == nil {
		return facts{}, version{}, errNotFound // the same as for an unknown secret (inferred)
	}
	if stage != "" && !slices.Contains(v.stages, stage) {
		return facts{}, version{}, invalid("VersionStage")
	}
	return s.facts, v.clone(), nil
}

// describe answers for secrets in their delete window too.
func (st *store) describe(ref string) (facts, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.find(ref)
	if err != nil {
		return facts{}, err
	}
	return s.facts, nil
}

// list returns all secrets, oldest first, those in their delete window included.
func (st *store) list() []facts {
	st.mu.Lock()
	defer st.mu.Unlock()
	all := make([]facts, 0, len(st.secrets))
	for _, name := range slices.Sorted(maps.Keys(st.secrets)) {
		if s, err := st.find(name); err == nil {
			all = append(all, s.facts)
		}
	}
	slices.SortStableFunc(all, func(a, b facts) int { return a.created.Compare(b.created) })
	return all
}

// listVersions returns the versions that carry a label, or all, oldest first.
func (st *store) listVersions(ref string, deprecated bool) (string, []version, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return "", nil, err
	}
	var all []version
	for _, v := range s.versions {
		if deprecated || len(v.stages) > 0 {
			all = append(all, v.clone())
		}
	}
	return s.name, all, nil
}

// moveStage moves or removes a label. It counts as an update of the secret (unknown).
func (st *store) moveStage(ref, label, from, to string) (string, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return "", err
	}
	if !validID(label) {
		return "", invalid("VersionStage")
	}
	if err := s.move(label, from, to); err != nil {
		return "", err
	}
	s.updated = st.now()
	return s.name, nil
}

// remove forgets a secret, whatever its state.
func (st *store) remove(name string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.secrets, name)
}

// schedule opens the delete window; none means gone at once. A secret that is in its window is refused, also when
// it is to go at once.
func (st *store) schedule(ref string, window time.Duration) (facts, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return facts{}, err
	}
	s.deleteAt = st.now().Add(window)
	if window == 0 {
		delete(st.secrets, s.name)
	}
	return s.facts, nil
}

// restore closes the delete window.
func (st *store) restore(ref string) (string, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.find(ref)
	if err != nil {
		return "", err
	}
	if s.deleteAt.IsZero() {
		return "", errNotDeleted
	}
	s.deleteAt = time.Time{}
	return s.name, nil
}

func (v *version) clone() version {
	c := *v
	c.stages = slices.Clone(v.stages)
	return c
}
