package emulator

import (
	"cmp"
	"slices"
	"strings"
)

// tagged is a resource that has tags: a key or a secret.
type tagged struct{ kind, name string }

const (
	tagKey    = "key"
	tagSecret = "secret"
)

// tags returns where the tags of a resource are. For a change, the resource must not be about to go.
func (st *store) tags(of tagged, change bool) (*[]tag, error) {
	if of.kind == tagSecret {
		s, err := st.find(of.name)
		if err == nil && change && !s.deleteAt.IsZero() {
			err = errInWindow
		}
		if err != nil {
			return nil, err
		}
		return &s.tags, nil
	}
	k, err := st.key(of.name)
	if err == nil && change {
		err = k.staying()
	}
	if err != nil {
		return nil, err
	}
	return &k.tags, nil
}

// retag changes the tags of all the resources or, when one of them refuses, of none.
func (st *store) retag(all []tagged, change func([]tag) ([]tag, error)) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	places, values := make([]*[]tag, len(all)), make([][]tag, len(all))
	for i, one := range all {
		var err error
		if places[i], err = st.tags(one, true); err != nil {
			return err
		}
		if values[i], err = change(*places[i]); err != nil {
			return err
		}
	}
	for i, place := range places {
		*place = values[i]
	}
	st.dirty = true
	return nil
}

// withTags puts tags on: those of a key that is there get the new value, where they are.
func withTags(added []tag) func([]tag) ([]tag, error) {
	return func(have []tag) ([]tag, error) {
		next := slices.Clone(have)
		for _, t := range added {
			if i := slices.IndexFunc(next, func(old tag) bool { return old.Key == t.Key }); i >= 0 {
				next[i] = t
			} else {
				next = append(next, t)
			}
		}
		if len(next) > maxTags {
			return nil, errTagLimit
		}
		return next, nil
	}
}

// withoutTags takes tags off; one that is not there is no error.
func withoutTags(keys []string) func([]tag) ([]tag, error) {
	return func(have []tag) ([]tag, error) {
		return slices.DeleteFunc(slices.Clone(have), func(t tag) bool { return slices.Contains(keys, t.Key) }), nil
	}
}

// resourceTag is a tag and what it is on.
type resourceTag struct {
	ResourceID   string `json:"ResourceId"`
	ResourceType string `json:"ResourceType"`
	TagKey       string `json:"TagKey"`
	TagValue     string `json:"TagValue"`
}

func (t resourceTag) compare(o resourceTag) int {
	return cmp.Or(strings.Compare(t.ResourceID, o.ResourceID), strings.Compare(t.TagKey, o.TagKey))
}

// listTags returns the tags of the named resources of a kind, or of all, in the order of names and keys. Of resources
// that are not there, there are none (not documented).
func (st *store) listTags(kind string, names []string) []resourceTag {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(names) == 0 {
		names = st.names(kind)
	}
	var all []resourceTag
	for _, name := range names {
		tags, err := st.tags(tagged{kind, name}, false)
		if err != nil {
			continue
		}
		for _, t := range *tags {
			all = append(all, resourceTag{ResourceID: name, ResourceType: kind, TagKey: t.Key, TagValue: t.Value})
		}
	}
	slices.SortFunc(all, resourceTag.compare)
	return slices.Compact(all)
}

func (st *store) names(kind string) []string {
	var all []string
	if kind == tagSecret {
		for name := range st.secrets {
			all = append(all, name)
		}
		return all
	}
	for id := range st.keys {
		all = append(all, id)
	}
	return all
}
