package emulator

import (
	"cmp"
	"slices"
	"time"
)

// value finds a version by id, label or both, which must then mean the same one. Neither means ACSCurrent.
func (st *store) value(ref, id, stage string) (facts, version, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return facts{}, version{}, err
	}
	if s.kind != kindGeneric {
		id = "" // of a managed secret only labels are asked for
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
	k, err := st.keyFor(&s.facts)
	if err != nil {
		return facts{}, version{}, err
	}
	shown := v.clone()
	shown.data, err = v.reveal(k, &s.facts)
	return s.facts, shown, err
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

// list returns one page of the secrets that match, oldest first, those in their delete window included, and how many
// there are.
func (st *store) list(filters []filter, number, size int) ([]facts, int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	all := make([]*secret, 0, len(st.secrets))
	for _, s := range st.secrets {
		if st.alive(s) && matchAll(filters, func(key string) ([]string, bool) { return s.filtered(key, st.account) }) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *secret) int { return older(a.created, b.created, a.name, b.name) })
	var shown []facts
	for _, s := range page(all, number, size) {
		shown = append(shown, s.facts)
	}
	return shown, len(all)
}

// older orders by time, and what is of the same time by name.
func older(a, b time.Time, nameA, nameB string) int {
	return cmp.Or(a.Compare(b), cmp.Compare(nameA, nameB))
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

func (v *version) clone() version {
	c := *v
	c.stages = slices.Clone(v.stages)
	return c
}
