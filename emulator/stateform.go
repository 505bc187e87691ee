package emulator

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The types of this file are the format of state files. A field that is added must be read from files without it.
type (
	savedState struct {
		Region   string                  `json:"region"`
		Ahead    Duration                `json:"ahead"` // of the clock
		Sessions []byte                  `json:"sessions"`
		Accounts map[string]savedAccount `json:"accounts"`
	}
	savedAccount struct {
		Service savedKey          `json:"service_key"`
		Keys    []savedKey        `json:"keys"`
		Aliases map[string]string `json:"aliases"`
		Secrets []savedSecret     `json:"secrets"`
	}
	savedRotation struct {
		Interval Duration  `json:"interval"`
		Last     time.Time `json:"last,omitzero"`
		Next     time.Time `json:"next,omitzero"`
	}
	savedKey struct {
		ID          string            `json:"id"`
		Description string            `json:"description,omitempty"`
		Spec        string            `json:"spec"`
		Usage       string            `json:"usage"`
		Origin      string            `json:"origin"`
		Protection  string            `json:"protection_level"`
		Instance    string            `json:"dkms_instance_id,omitempty"`
		State       keyState          `json:"state"`
		Created     time.Time         `json:"created"`
		DeleteAt    time.Time         `json:"delete_at,omitzero"`
		Versions    []savedKeyVersion `json:"versions,omitempty"`
		Rotation    savedRotation     `json:"rotation,omitzero"`
		Guarded     bool              `json:"deletion_protection,omitempty"`
		GuardedWhy  string            `json:"deletion_protection_description,omitempty"`
		Policy      string            `json:"policy,omitempty"`
		Tags        []tag             `json:"tags,omitempty"`
	}
	savedKeyVersion struct {
		ID       string    `json:"id"`
		Created  time.Time `json:"created"`
		Material []byte    `json:"material,omitempty"`
	}
	savedSecret struct {
		Name        string         `json:"name"`
		Description string         `json:"description,omitempty"`
		Kind        string         `json:"type"`
		Created     time.Time      `json:"created"`
		Updated     time.Time      `json:"updated"`
		DeleteAt    time.Time      `json:"delete_at,omitzero"`
		Key         string         `json:"key,omitempty"`
		Instance    string         `json:"dkms_instance_id,omitempty"`
		Tags        []tag          `json:"tags,omitempty"`
		Policy      string         `json:"policy,omitempty"`
		Managed     *savedManaged  `json:"managed,omitempty"`
		Versions    []savedVersion `json:"versions"`
	}
	savedManaged struct {
		Extended string        `json:"extended_config"`
		Sent     string        `json:"extended_config_sent,omitempty"`
		Accounts [2]string     `json:"accounts"`
		Overlap  time.Time     `json:"overlap,omitzero"`
		Rotation savedRotation `json:"rotation"`
	}
	savedVersion struct {
		ID       string    `json:"id"`
		DataType string    `json:"data_type"`
		Created  time.Time `json:"created"`
		Stages   []string  `json:"stages,omitempty"`
		Sealed   []byte    `json:"sealed"`
	}
)

// saved is the state as it is now.
func (e *Emulator) saved() savedState {
	state := savedState{
		Region: e.region, Ahead: Duration(e.clock.lead()), Sessions: e.sealer.key, Accounts: map[string]savedAccount{},
	}
	e.accounts.mu.Lock()
	defer e.accounts.mu.Unlock()
	for number, st := range e.accounts.stores {
		state.Accounts[number] = st.saved()
	}
	return state
}

func (st *store) saved() savedAccount {
	st.mu.Lock()
	defer st.mu.Unlock()
	a := savedAccount{Service: st.service.saved(), Aliases: maps.Clone(st.aliases)}
	for _, k := range st.keys {
		a.Keys = append(a.Keys, k.saved())
	}
	for _, s := range st.secrets {
		a.Secrets = append(a.Secrets, s.saved())
	}
	slices.SortFunc(a.Keys, func(a, b savedKey) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(a.Secrets, func(a, b savedSecret) int { return cmp.Compare(a.Name, b.Name) })
	return a
}

func (r rotation) saved() savedRotation { return savedRotation{Duration(r.interval), r.last, r.next} }

func (r savedRotation) rotation() rotation {
	return rotation{interval: time.Duration(r.Interval), last: r.Last, next: r.Next}
}

func (k *key) saved() savedKey {
	s := savedKey{
		ID: k.id, Description: k.description, Spec: k.spec, Usage: k.usage, Origin: k.origin, Protection: k.protection,
		Instance: k.instance, State: k.state, Created: k.created, DeleteAt: k.deleteAt,
		Rotation: k.rotation.saved(), Guarded: k.guarded, GuardedWhy: k.guardedWhy, Policy: k.policy.text, Tags: k.tags,
	}
	for _, v := range k.versions {
		s.Versions = append(s.Versions, savedKeyVersion{v.id, v.created, v.material})
	}
	return s
}

func (s *secret) saved() savedSecret {
	f := s.facts
	out := savedSecret{
		Name: f.name, Description: f.description, Kind: f.kind, Created: f.created, Updated: f.updated, DeleteAt: f.deleteAt,
		Key: f.key, Instance: f.instance, Tags: f.tags, Policy: s.policy.text,
	}
	if m := f.managed; f.kind != kindGeneric {
		out.Managed = &savedManaged{m.extended.String(), m.sent, m.accounts, m.overlap, m.rotation.saved()}
	}
	for _, v := range s.versions {
		out.Versions = append(out.Versions, savedVersion{v.id, v.dataType, v.created, slices.Clone(v.stages), v.sealed})
	}
	return out
}

// load makes the state what was saved. Stores stay where they are: others hold on to them.
func (e *Emulator) load(state savedState) error {
	if len(state.Sessions) > 0 {
		e.sealer.key = state.Sessions
	}
	for number := range state.Accounts {
		e.accounts.open(number)
	}
	e.accounts.mu.Lock()
	defer e.accounts.mu.Unlock()
	for number, st := range e.accounts.stores {
		saved, ok := state.Accounts[number]
		if !ok {
			saved = newStore(st.now, e.region, number).saved()
		}
		if err := st.load(saved); err != nil {
			return fmt.Errorf("account %s: %w", number, err)
		}
	}
	return nil
}

func (st *store) load(a savedAccount) error {
	keys, secrets := map[string]*key{}, map[string]*secret{}
	service, err := a.Service.key()
	if err != nil {
		return err
	}
	for _, saved := range a.Keys {
		if keys[saved.ID], err = saved.key(); err != nil {
			return err
		}
	}
	for _, saved := range a.Secrets {
		if secrets[saved.Name], err = saved.secret(); err != nil {
			return err
		}
	}
	aliases := maps.Clone(a.Aliases)
	if aliases == nil {
		aliases = map[string]string{}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.service, st.keys, st.aliases, st.secrets, st.dirty = *service, keys, aliases, secrets, false
	return nil
}

func (s savedKey) key() (*key, error) {
	k := &key{
		id: s.ID, description: s.Description, spec: s.Spec, usage: s.Usage, origin: s.Origin, protection: s.Protection,
		instance: s.Instance, state: s.State, created: s.Created, deleteAt: s.DeleteAt,
		rotation: s.Rotation.rotation(), guarded: s.Guarded, guardedWhy: s.GuardedWhy, tags: s.Tags,
	}
	for _, v := range s.Versions {
		if k.symmetric() && len(v.Material) != materialSize {
			return nil, fmt.Errorf("key %q: a version without material", s.ID)
		}
		k.versions = append(k.versions, keyVersion{v.ID, v.Created, v.Material})
	}
	if len(k.versions) == 0 && k.state == keyEnabled {
		return nil, fmt.Errorf("key %q: no version", s.ID)
	}
	var err error
	k.policy, err = savedPolicy(s.Policy)
	return k, err
}

func savedPolicy(text string) (ownPolicy, error) {
	if text == "" {
		return ownPolicy{}, nil
	}
	return parseOwnPolicy(text)
}

func (s savedSecret) secret() (*secret, error) {
	out := &secret{facts: facts{
		name: s.Name, description: s.Description, kind: s.Kind, created: s.Created, updated: s.Updated, deleteAt: s.DeleteAt,
		key: s.Key, instance: s.Instance, tags: s.Tags,
	}}
	var err error
	if out.policy, err = savedPolicy(s.Policy); err != nil {
		return nil, err
	}
	if (s.Managed == nil) != (s.Kind == kindGeneric) || len(s.Versions) == 0 {
		return nil, fmt.Errorf("secret %q: its type does not fit", s.Name)
	}
	if m := s.Managed; m != nil {
		x, form, err := parseExtended(s.Kind, m.Extended)
		if err != nil {
			return nil, err
		}
		out.managed = managed{subtype: form, extended: x, sent: m.Sent, accounts: m.Accounts, overlap: m.Overlap, rotation: m.Rotation.rotation()}
	}
	for _, v := range s.Versions {
		out.versions = append(out.versions, &version{
			id: v.ID, dataType: v.DataType, created: v.Created, stages: slices.Clone(v.Stages), sealed: v.Sealed,
		})
	}
	return out, nil
}
