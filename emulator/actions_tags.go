package emulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	maxTaggedAtOnce = 50
	tagPage         = 200
)

// taggedOne reads which one resource is meant; exactly one of the three parameters has to be there.
func (p params) taggedOne() (tagged, error) {
	var all []tagged
	for _, option := range []struct{ name, kind string }{{"KeyId", tagKey}, {"SecretName", tagSecret}, {"CertificateId", ""}} {
		if p[option.name] != "" {
			all = append(all, tagged{option.kind, p[option.name]})
		}
	}
	switch {
	case len(all) == 0:
		return tagged{}, needed("KeyId")
	case len(all) > 1:
		return tagged{}, invalid("KeyId")
	case all[0].kind == "":
		return tagged{}, errNotFound // there are no certificates
	}
	return all[0], nil
}

func (c call) retag(all []tagged, change func([]tag) ([]tag, error)) (any, error) {
	if err := c.store.retag(all, change); err != nil {
		return nil, err
	}
	return idReply{RequestID: c.requestID}, nil
}

func tagResource(c call) (any, error) {
	one, err := c.params.taggedOne()
	if err != nil {
		return nil, err
	}
	added, err := parseTags(c.params["Tags"])
	if err == nil && len(added) == 0 {
		err = invalid("Tags")
	}
	if err != nil {
		return nil, err
	}
	return c.retag([]tagged{one}, withTags(added))
}

func untagResource(c call) (any, error) {
	one, err := c.params.taggedOne()
	if err != nil {
		return nil, err
	}
	var keys []string
	if json.Unmarshal([]byte(c.params["TagKeys"]), &keys) != nil || len(keys) == 0 {
		return nil, invalid("TagKeys")
	}
	return c.retag([]tagged{one}, withoutTags(keys))
}

type keyTag struct {
	KeyID    string `json:"KeyId"`
	TagKey   string `json:"TagKey"`
	TagValue string `json:"TagValue"`
}

type keyTags struct {
	Tag []keyTag `json:"Tag"`
}

type keyTagsReply struct {
	Tags      keyTags `json:"Tags"`
	RequestID string  `json:"RequestId"`
}

func listResourceTags(c call) (any, error) {
	k, err := c.store.describeKey(c.params["KeyId"])
	if err != nil {
		return nil, err
	}
	reply := keyTagsReply{RequestID: c.requestID}
	reply.Tags.Tag = []keyTag{}
	for _, t := range k.tags {
		reply.Tags.Tag = append(reply.Tags.Tag, keyTag{KeyID: k.id, TagKey: t.Key, TagValue: t.Value})
	}
	return reply, nil
}

// indexed reads the parameters name.1, name.2 and so on, to the first that is missing. One beyond a gap is refused: it
// would be lost without a word.
func (p params) indexed(name string, most int) ([]string, error) {
	var all []string
	for p[fmt.Sprint(name, ".", len(all)+1)] != "" {
		all = append(all, p[fmt.Sprint(name, ".", len(all)+1)])
	}
	given := 0
	for key, value := range p {
		if rest, ok := strings.CutPrefix(key, name+"."); ok && value != "" && !strings.Contains(rest, ".") {
			given++
		}
	}
	if given != len(all) || len(all) > most {
		return nil, invalid(name)
	}
	return all, nil
}

// indexedTags reads Tag.1.Key, Tag.1.Value and so on. A value may be left out.
func (p params) indexedTags() ([]tag, error) {
	var all []tag
	for p[fmt.Sprintf("Tag.%d.Key", len(all)+1)] != "" {
		at := fmt.Sprintf("Tag.%d.", len(all)+1)
		all = append(all, tag{Key: p[at+"Key"], Value: p[at+"Value"]})
	}
	for key, value := range p {
		if number, ok := strings.CutPrefix(key, "Tag."); ok && value != "" {
			number, _, _ = strings.Cut(number, ".")
			if !slices.ContainsFunc(indexes(len(all)), func(n string) bool { return n == number }) {
				return nil, invalid("Tag")
			}
		}
	}
	return all, nil
}

func indexes(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i + 1)
	}
	return all
}

// taggedMany reads the resources of the plural actions. RegionId has to be there, and says nothing here: there is one.
func (p params) taggedMany() ([]tagged, error) {
	kind, err := p.taggedKind()
	if err != nil {
		return nil, err
	}
	names, err := p.indexed("ResourceId", maxTaggedAtOnce)
	if err != nil {
		return nil, err
	}
	var all []tagged
	for _, name := range names {
		all = append(all, tagged{kind, name})
	}
	return all, nil
}

// taggedKind is the kind of resource. There are no instances here, although Terraform knows that kind too.
func (p params) taggedKind() (string, error) {
	if kind := p["ResourceType"]; kind == tagKey || kind == tagSecret {
		return kind, nil
	}
	return "", invalid("ResourceType")
}

func tagResources(c call) (any, error) {
	all, err := c.params.taggedMany()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, missing("ResourceId")
	}
	added, err := c.params.indexedTags()
	if err != nil {
		return nil, err
	}
	if len(added) == 0 {
		return nil, missing("Tag")
	}
	if err := checkTags(added, "Tag"); err != nil {
		return nil, err
	}
	return c.retag(all, withTags(added))
}

func untagResources(c call) (any, error) {
	all, err := c.params.taggedMany()
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, missing("ResourceId")
	}
	every, err := c.params.boolean("All")
	if err != nil {
		return nil, err
	}
	keys, err := c.params.indexed("TagKey", maxTags)
	switch {
	case err != nil:
		return nil, err
	case every && len(keys) > 0: // documented: All counts only without keys
		every = false
	case !every && len(keys) == 0:
		return nil, needed("TagKey")
	}
	if every {
		return c.retag(all, func([]tag) ([]tag, error) { return nil, nil })
	}
	return c.retag(all, withoutTags(keys))
}

type resourceTags struct {
	TagResource []resourceTag `json:"TagResource"`
}

type resourceTagsReply struct {
	TagResources resourceTags `json:"TagResources"`
	NextToken    string       `json:"NextToken,omitempty"`
	RequestID    string       `json:"RequestId"`
}

// listTagResources has pages of 200. With tags as filters it shows the resources that have all of them.
func listTagResources(c call) (any, error) {
	kind, err := c.params.taggedKind()
	if err != nil {
		return nil, err
	}
	names, err := c.params.indexed("ResourceId", maxTaggedAtOnce)
	if err != nil {
		return nil, err
	}
	wanted, err := c.params.indexedTags()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && len(wanted) == 0 {
		return nil, needed("ResourceId")
	}
	all := filterTags(c.store.listTags(kind, names), wanted)
	if all, err = afterToken(all, c.params["NextToken"]); err != nil {
		return nil, err
	}
	reply := resourceTagsReply{RequestID: c.requestID}
	reply.TagResources.TagResource = append([]resourceTag{}, all[:min(tagPage, len(all))]...)
	if len(all) > tagPage {
		last := all[tagPage-1]
		reply.NextToken = base64.RawURLEncoding.EncodeToString([]byte(last.ResourceID + "\x00" + last.TagKey))
	}
	return reply, nil
}

// filterTags keeps the tags of those resources that have each wanted tag; one without a value is wanted by its key.
func filterTags(all []resourceTag, wanted []tag) []resourceTag {
	var kept []resourceTag
	for _, t := range all {
		if !slices.ContainsFunc(wanted, func(want tag) bool {
			return !slices.ContainsFunc(all, func(have resourceTag) bool {
				return have.ResourceID == t.ResourceID && have.TagKey == want.Key && (want.Value == "" || have.TagValue == want.Value)
			})
		}) {
			kept = append(kept, t)
		}
	}
	return kept
}

// afterToken goes on behind the tag that a token names, which may be gone by now.
func afterToken(all []resourceTag, token string) ([]resourceTag, error) {
	if token == "" {
		return all, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	name, key, ok := strings.Cut(string(text), "\x00")
	if err != nil || !ok {
		return nil, invalid("NextToken")
	}
	at := resourceTag{ResourceID: name, TagKey: key}
	return slices.DeleteFunc(all, func(t resourceTag) bool { return t.compare(at) <= 0 }), nil
}
