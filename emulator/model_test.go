package emulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is what the labels should be, kept another way than the store does: by label. It knows nothing of limits.
type model struct {
	versions []string          // in the order of their making
	holder   map[string]string // of a label
	deleted  bool
}

func newModel() *model {
	return &model{versions: []string{"v0"}, holder: map[string]string{stageCurrent: "v0"}}
}

// put is PutSecretValue with a new id. No labels mean ACSCurrent.
func (m *model) put(id string, labels []string) {
	m.versions = append(m.versions, id)
	if labels == nil {
		labels = []string{stageCurrent}
	}
	m.place(id, labels)
	if len(m.versions) <= 10 {
		return
	}
	for i, v := range m.versions {
		if !slices.Contains(slices.Collect(maps.Values(m.holder)), v) {
			m.versions = slices.Delete(m.versions, i, i+1)
			return
		}
	}
}

// place puts labels on a version. What was current is previous from then on, unless the labels say otherwise.
func (m *model) place(id string, labels []string) {
	if was := m.holder[stageCurrent]; slices.Contains(labels, stageCurrent) && was != id {
		m.holder[stagePrevious] = was
	}
	for _, label := range labels {
		m.holder[label] = id
	}
}

// tooMany tells whether the labels would be more than eight, both of the system's counted.
func (m *model) tooMany(labels []string) bool {
	all := map[string]bool{stageCurrent: true, stagePrevious: true}
	for label := range m.holder {
		all[label] = true
	}
	for _, label := range labels {
		all[label] = true
	}
	return len(all) > 8
}

// String is the model in the words of bench.stages, labels sorted.
func (m *model) String() string {
	var all []string
	for _, v := range m.versions {
		var labels []string
		for label, holder := range m.holder {
			if holder == v {
				labels = append(labels, label)
			}
		}
		slices.Sort(labels)
		all = append(all, fmt.Sprint(v, labels))
	}
	return strings.Join(all, " ")
}

// machine is an emulator's store with one generic and one managed secret, and their models.
type machine struct {
	now            time.Time
	store          *store
	plain, managed *model
	made           int
}

func newMachine(t *rapid.T) *machine {
	m := &machine{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), plain: newModel(), managed: newModel()}
	m.store = newStore(func() time.Time { return m.now }, "cn-hangzhou", "1")
	if _, err := m.store.create(generic("plain", version{id: "v0", data: "x", dataType: typeText})); err != nil {
		t.Fatal(err)
	}
	p := maps.Clone(samples["Rds DoubleUsers"])
	p["SecretName"], p["VersionId"] = "managed", "v0"
	if _, err := createSecret(call{store: m.store, params: p}); err != nil {
		t.Fatal(err)
	}
	return m
}

// stages is what the store says, through the front door but without its delete window.
func (m *machine) stages(name string) string {
	var all []string
	for _, v := range m.store.secrets[name].versions {
		slices.Sort(v.stages)
		all = append(all, fmt.Sprint(v.id, v.stages))
	}
	return strings.Join(all, " ")
}

func (m *machine) id() string {
	m.made++
	return fmt.Sprint("v", m.made)
}

var (
	anyLabel  = rapid.SampledFrom([]string{stageCurrent, stagePrevious, "a", "b", "c", "d", "e", "f", "g"})
	anyLabels = rapid.SliceOfN(anyLabel, 1, 4)
)

// refusals compares what was refused with what the model would have.
func (m *machine) refusals(t *rapid.T, err error, want bool) bool {
	if (err != nil) != want {
		t.Fatalf("error = %v, want one: %v", err, want)
	}
	return err == nil
}

func (m *machine) putOne(t *rapid.T) {
	id := m.id()
	_, _, err := m.store.put("plain", version{id: id, data: id, dataType: typeText}, nil)
	if m.refusals(t, err, m.plain.deleted) {
		m.plain.put(id, nil)
	}
}

func (m *machine) putLabels(t *rapid.T) {
	id, labels := m.id(), anyLabels.Draw(t, "labels")
	_, _, err := m.store.put("plain", version{id: id, data: id, dataType: typeText}, labels)
	if m.refusals(t, err, m.plain.deleted || m.plain.tooMany(labels)) {
		m.plain.put(id, labels)
	}
}

func (m *machine) putAgain(t *rapid.T) {
	id := rapid.SampledFrom(m.plain.versions).Draw(t, "id")
	data := id
	if id == "v0" {
		data = "x"
	}
	labels := rapid.OneOf(rapid.Just[[]string](nil), anyLabels).Draw(t, "labels")
	_, _, err := m.store.put("plain", version{id: id, data: data, dataType: typeText}, labels)
	if m.refusals(t, err, m.plain.deleted || m.plain.tooMany(labels)) {
		m.plain.place(id, labels)
	}
}

func (m *machine) putOther(t *rapid.T) {
	id := rapid.SampledFrom(m.plain.versions).Draw(t, "id")
	_, _, err := m.store.put("plain", version{id: id, data: "other", dataType: typeText}, nil)
	m.refusals(t, err, true)
}

func (m *machine) move(t *rapid.T) {
	label := anyLabel.Draw(t, "label")
	ids := rapid.SampledFrom(append([]string{"", "none"}, m.plain.versions...))
	from, to := ids.Draw(t, "from"), ids.Draw(t, "to")
	known := slices.Contains(m.plain.versions, to)
	wrong := m.plain.deleted || from == "" && to == "" ||
		from != "" && m.plain.holder[label] != from || to != "" && !known ||
		to == "" && strings.HasPrefix(label, "ACS") || to != "" && m.plain.tooMany([]string{label})
	_, err := m.store.moveStage("plain", label, from, to)
	switch {
	case !m.refusals(t, err, wrong):
	case to == "":
		delete(m.plain.holder, label)
	default:
		m.plain.place(to, []string{label})
	}
}

func (m *machine) rotate(t *rapid.T) {
	if _, err := m.store.rotate("plain", m.id()); err == nil {
		t.Fatal("a generic secret was rotated")
	}
	id := m.id()
	_, err := m.store.rotate("managed", id)
	if m.refusals(t, err, m.managed.deleted) {
		m.managed.put(id, nil)
	}
}

func (m *machine) rotateAgain(t *rapid.T) {
	_, err := m.store.rotate("managed", rapid.SampledFrom(m.managed.versions).Draw(t, "id"))
	m.refusals(t, err, m.managed.deleted)
}

// remove and restore take either secret.
func (m *machine) remove(t *rapid.T) {
	name, model := m.either(t)
	_, err := m.store.schedule(name, 7*day)
	if m.refusals(t, err, model.deleted) {
		model.deleted = true
	}
}

func (m *machine) restore(t *rapid.T) {
	name, model := m.either(t)
	_, err := m.store.restore(name)
	if m.refusals(t, err, !model.deleted) {
		model.deleted = false
	}
}

func (m *machine) either(t *rapid.T) (string, *model) {
	if rapid.Bool().Draw(t, "managed") {
		return "managed", m.managed
	}
	return "plain", m.plain
}

// check compares everything, and looks at what must hold whatever the model says.
func (m *machine) check(t *rapid.T) {
	m.now = m.now.Add(time.Second)
	for name, want := range map[string]*model{"plain": m.plain, "managed": m.managed} {
		if got := m.stages(name); got != want.String() {
			t.Fatalf("%s\n got %s\nwant %s", name, got, want)
		}
		if broken := invariant(m.store.secrets[name]); broken != "" {
			t.Fatalf("%s: %s in %s", name, broken, want)
		}
	}
}

func TestAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "put": m.putOne, "put labels": m.putLabels, "put again": m.putAgain, "put other": m.putOther,
			"move": m.move, "rotate": m.rotate, "rotate again": m.rotateAgain, "remove": m.remove, "restore": m.restore,
		})
	})
}
