package emulator

import (
	"maps"
	"slices"
)

// action is one API: what the gateway knows of its parameters, and what it does. Parameters that are in no list are
// unknown to the API too, which drops them.
type action struct {
	required []string
	optional []string
	unbuilt  []string // known to the API, not to us: refused, since ignoring them would change what the caller gets
	run      func(call) (any, error)
}

// call is a request that has been believed.
type call struct {
	store     *store
	requestID string
	params    params
}

// actions are the APIs of KMS by name.
var actions = func() map[string]action {
	all := map[string]action{}
	maps.Copy(all, secretActions)
	maps.Copy(all, keyActions)
	maps.Copy(all, tagActions)
	return all
}()

// check is the gateway's look at the parameters.
func (a action) check(p params) error {
	for _, name := range a.required {
		if p[name] == "" {
			return missing(name)
		}
	}
	for _, name := range a.unbuilt {
		if p[name] != "" {
			return invalid(name)
		}
	}
	return nil
}

// page cuts one page, counted from 1, out of all.
func page[T any](all []T, number, size int) []T {
	for chunk := range slices.Chunk(all, size) {
		if number--; number == 0 {
			return chunk
		}
	}
	return nil
}

// paging reads the parameters of a page.
func (p params) paging(defaultSize int) (number, size int, err error) {
	if number, err = p.integer("PageNumber", 1, 1, 1<<31-1); err != nil {
		return 0, 0, err
	}
	size, err = p.integer("PageSize", defaultSize, 1, 100)
	return number, size, err
}
