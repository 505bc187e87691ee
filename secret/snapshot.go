package secret

import (
	"cmp"
	"maps"
	"slices"
)

// Snapshot is an immutable set of values by ID. The zero Snapshot is empty.
type Snapshot struct {
	values map[ID]Value
}

// With is the same snapshot with one value added or replaced.
func (s Snapshot) With(id ID, v Value) Snapshot {
	values := maps.Clone(s.values)
	if values == nil {
		values = map[ID]Value{}
	}
	values[id] = v
	return Snapshot{values: values}
}

// Get finds the value of an ID.
func (s Snapshot) Get(id ID) (Value, bool) {
	v, ok := s.values[id]
	return v, ok
}

// IDs lists what the snapshot holds, in a stable order.
func (s Snapshot) IDs() []ID {
	return SortIDs(slices.Collect(maps.Keys(s.values)))
}

// Changed lists the IDs whose value is new or other than in before.
func (s Snapshot) Changed(before Snapshot) []ID {
	var ids []ID
	for id, v := range s.values {
		if old, ok := before.values[id]; !ok || !v.Same(old) {
			ids = append(ids, id)
		}
	}
	return SortIDs(ids)
}

// SortIDs sorts ids in place by their text and returns them.
func SortIDs(ids []ID) []ID {
	slices.SortFunc(ids, func(a, b ID) int { return cmp.Compare(a.String(), b.String()) })
	return ids
}
