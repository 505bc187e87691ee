package emulator

import "time"

// moveStage moves or removes a label. It counts as an update of the secret (unknown).
func (st *store) moveStage(ref, label, from, to string) (string, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usableGeneric(ref)
	if err != nil {
		return "", err
	}
	if !validID(label) {
		return "", invalid("VersionStage")
	}
	if err := s.move(label, from, to); err != nil {
		return "", err
	}
	s.updated, st.dirty = st.now(), true
	return s.name, nil
}

// remove forgets a secret, whatever its state.
func (st *store) remove(name string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.secrets, name)
	st.dirty = true
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
	s.deleteAt, st.dirty = st.now().Add(window), true
	if window == 0 {
		delete(st.secrets, s.name)
	}
	return s.facts, nil
}

// restore closes the delete window. A rotation that was due in it is due now.
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
	s.deleteAt, st.dirty = time.Time{}, true
	s.managed.postpone(st.now())
	return s.name, nil
}

// update changes what a secret says of itself; nil leaves it. Only managed secrets have custom data.
func (st *store) update(ref string, description, custom *string) (string, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return "", err
	}
	if custom != nil {
		if s.kind == kindGeneric {
			return "", invalid("ExtendedConfig.CustomData")
		}
		next, err := s.managed.extended.with(*custom)
		if err != nil {
			return "", err // what there is stays
		}
		s.managed.extended, s.managed.sent = next, ""
	}
	if description != nil {
		s.description = *description
	}
	s.updated, st.dirty = st.now(), true
	return s.name, nil
}

// automate sets the interval of automatic rotation, or none.
func (st *store) automate(ref string, interval time.Duration) (string, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return "", err
	}
	if s.kind == kindGeneric {
		return "", invalid("SecretName") // code not published
	}
	s.updated, st.dirty = st.now(), true
	s.automate(interval, s.updated)
	st.settle(s, s.updated)
	return s.name, nil
}

// rotate makes the next value of a managed secret current under that id. An id that is there already is a repeated
// call.
func (st *store) rotate(ref, id string) (string, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return "", err
	}
	if s.kind == kindGeneric || !validID(id) {
		return "", errRotate
	}
	if s.version(id) != nil {
		return s.name, nil
	}
	if !s.managed.overlap.IsZero() {
		return "", errRotating
	}
	k, err := st.keyFor(&s.facts)
	if err != nil {
		return "", err
	}
	if err := s.turn(k, id, st.now()); err != nil {
		return "", err
	}
	st.dirty = true
	return s.name, nil
}
