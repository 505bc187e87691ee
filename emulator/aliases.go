package emulator

import (
	"slices"
	"strings"
)

const (
	aliasPrefix = "alias/"
	maxAlias    = 255 // characters, as one text has it with the prefix and another without; here without
)

// parseAlias reads the parameter AliasName. Those below alias/acs are kept for services.
func (p params) parseAlias() (string, error) {
	name, ok := strings.CutPrefix(p["AliasName"], aliasPrefix)
	plain := strings.IndexFunc(name, func(r rune) bool { return !strings.ContainsRune(letters+digits+"_-/", r) }) < 0
	if !ok || name == "" || len(name) > maxAlias || !plain || name == "acs" || strings.HasPrefix(name, "acs/") {
		return "", invalid("AliasName")
	}
	return aliasPrefix + name, nil
}

// bind gives an alias to a key. One that exists is moved or refused; one that does not is refused or made.
func (st *store) bind(alias, ref string, exists bool) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	k, err := st.key(ref)
	if err != nil {
		return err
	}
	_, have := st.aliasOf(alias)
	switch {
	case have && !exists:
		return errAliasExists
	case !have && exists:
		return errAliasNotFound
	case k.state == keyDeleting && exists:
		return errKeyDeleting
	case k.state == keyDeleting:
		return errKeyState
	}
	st.aliases[alias], st.dirty = k.id, true
	return nil
}

// aliasOf is the id of the key that an alias means, if both are there.
func (st *store) aliasOf(alias string) (string, bool) {
	k, err := st.key(alias)
	if err != nil {
		return "", false
	}
	return k.id, true
}

func (st *store) unbind(alias string) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if _, ok := st.aliasOf(alias); !ok {
		return errAliasNotFound
	}
	delete(st.aliases, alias)
	st.dirty = true
	return nil
}

// keyARN is the ARN of the key that an id, alias or ARN means; that of an alias without a key stays as it is.
func (st *store) keyARN(ref string) (string, bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	k, err := st.key(ref)
	if err != nil {
		return "", false
	}
	return st.prefix + "key/" + k.id, true
}

func createAlias(c call) (any, error) { return c.bindAlias(false) }

func updateAlias(c call) (any, error) { return c.bindAlias(true) }

func (c call) bindAlias(exists bool) (any, error) {
	alias, err := c.params.parseAlias()
	if err != nil {
		return nil, err
	}
	if err := c.store.bind(alias, c.params["KeyId"], exists); err != nil {
		return nil, err
	}
	return idReply{RequestID: c.requestID}, nil
}

func deleteAlias(c call) (any, error) {
	alias, err := c.params.parseAlias()
	if err != nil {
		return nil, err
	}
	if err := c.store.unbind(alias); err != nil {
		return nil, err
	}
	return idReply{RequestID: c.requestID}, nil
}

type listedAlias struct {
	KeyID     string `json:"KeyId"`
	AliasArn  string `json:"AliasArn"`
	AliasName string `json:"AliasName"`
}

type aliasList struct {
	Alias []listedAlias `json:"Alias"`
}

type aliasesReply struct {
	Aliases    aliasList `json:"Aliases"`
	PageNumber int       `json:"PageNumber"`
	PageSize   int       `json:"PageSize"`
	TotalCount int       `json:"TotalCount"`
	RequestID  string    `json:"RequestId"`
}

func listAliases(c call) (any, error) {
	number, size, err := c.params.paging(20)
	if err != nil {
		return nil, err
	}
	all := c.store.listAliases()
	reply := aliasesReply{PageNumber: number, PageSize: size, TotalCount: len(all), RequestID: c.requestID}
	reply.Aliases.Alias = append([]listedAlias{}, page(all, number, size)...)
	return reply, nil
}

// listAliases returns them by name.
func (st *store) listAliases() []listedAlias {
	st.mu.Lock()
	defer st.mu.Unlock()
	var all []listedAlias
	for name := range st.aliases {
		if id, ok := st.aliasOf(name); ok {
			all = append(all, listedAlias{KeyID: id, AliasArn: st.prefix + name, AliasName: name})
		}
	}
	slices.SortFunc(all, func(a, b listedAlias) int { return strings.Compare(a.AliasName, b.AliasName) })
	return all
}
