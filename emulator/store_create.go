package emulator

import "time"

// draft is a secret that is asked for.
type draft struct {
	facts
	interval time.Duration // of automatic rotation; zero for none
	policy   ownPolicy
	version  version
}

// generic is a draft with nothing but a name and a value.
func generic(name string, v version) draft {
	return draft{facts: facts{name: name, kind: kindGeneric}, version: v}
}

// create makes a secret whose first version is current.
func (st *store) create(d draft) (facts, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.add(d)
}

// add is create for those who hold the lock.
func (st *store) add(d draft) (facts, error) {
	if err := checkName(d.kind, d.name); err != nil {
		return facts{}, err
	}
	if err := d.version.check(); err != nil {
		return facts{}, err
	}
	if s, err := st.find(d.name); err == nil {
		if !s.deleteAt.IsZero() {
			return facts{}, errNamePlanned
		}
		return facts{}, errExists
	}
	k, err := st.keyFor(&d.facts)
	if err != nil {
		return facts{}, err
	}
	if d.key != "" {
		d.key = k.id
	}
	now := st.now()
	if d.kind != kindGeneric {
		value, ok := d.managed.subtype.begin(&d.managed, d.version.data, now)
		if !ok || d.version.dataType != typeText {
			return facts{}, invalid("SecretData")
		}
		d.version.data = value
	}
	d.version.created, d.version.stages = now, []string{stageCurrent}
	d.version.close(k, &d.facts)
	s := &secret{facts: d.facts, policy: d.policy, versions: []*version{&d.version}}
	s.created, s.updated = now, now
	s.automate(d.interval, now)
	st.secrets[s.name], st.dirty = s, true
	return s.facts, nil
}
