package inject

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kmsrun/kmsrun/secret"
)

// held is what is not taken over until there is another version of the same secret,
// because the program, or a check of ours, did not do well with it. The other secrets
// rotate on.
type held map[secret.ID]heldVersion

type heldVersion struct {
	value secret.Value
	why   string
}

// admitted is the newest snapshot with the present values of what is held back. It
// forgets what has been replaced.
func (l *loop) admitted(latest secret.Snapshot) secret.Snapshot {
	remaining := held{}
	for id, h := range l.held {
		value, ok := latest.Get(id)
		if !ok || !value.Same(h.value) {
			continue
		}
		remaining[id] = h
		if present, ok := l.snapshot.Get(id); ok {
			latest = latest.With(id, present)
		}
	}
	l.setHeld(remaining)
	return latest
}

// holdBack holds back the values that snapshot has of these secrets.
func (l *loop) holdBack(ids []secret.ID, snapshot secret.Snapshot, why string) {
	all := maps.Clone(l.held)
	if all == nil {
		all = held{}
	}
	for _, id := range ids {
		value, _ := snapshot.Get(id)
		all[id] = heldVersion{value, why}
		l.Log.Warn("a version is held back until there is a newer one of the secret", "secret", id.String(), "version", value.Version, "why", why)
	}
	l.setHeld(all)
}

func (l *loop) setHeld(all held) {
	l.held = all
	var list []string
	for _, id := range secret.SortIDs(slices.Collect(maps.Keys(all))) {
		list = append(list, fmt.Sprintf("%s version %s: %s", id.Label(), all[id].value.Version, all[id].why))
	}
	l.view.held.Store(&list)
}
