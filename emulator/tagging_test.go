package emulator

import (
	"fmt"
	"strings"
	"testing"
)

// tagsOf lists the tags of resources by the plural action, page by page.
func (b *bench) tagsOf(kind string, pairs ...string) (tags string, pages int) {
	b.t.Helper()
	var all []string
	for token := ""; pages == 0 || token != ""; pages++ {
		var reply resourceTagsReply
		decode(b.t, b.must("ListTagResources", append(pairs, "RegionId", "cn-hangzhou", "ResourceType", kind, "NextToken", token)...), &reply)
		for _, t := range reply.TagResources.TagResource {
			all = append(all, t.ResourceID+":"+t.TagKey+"="+t.TagValue)
		}
		token = reply.NextToken
	}
	return strings.Join(all, " "), pages
}

// Both families see the same tags, on keys and on secrets.
func TestTagFamilies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create()
	id := b.newKeyID("Tags", `[{"TagKey":"made","TagValue":"1"}]`)
	for _, tc := range []struct{ kind, name, parameter string }{{tagKey, id, "KeyId"}, {tagSecret, "s", "SecretName"}} {
		many := []string{"RegionId", "cn-hangzhou", "ResourceType", tc.kind, "ResourceId.1", tc.name}
		check := func(want string) {
			t.Helper()
			got, _ := b.tagsOf(tc.kind, "ResourceId.1", tc.name)
			if got = strings.ReplaceAll(got, tc.name+":", ""); got != want {
				t.Errorf("%s: tags %q, want %q", tc.kind, got, want)
			}
		}
		b.must("UntagResources", append(many, "All", "true")...)
		check("")
		b.must("TagResource", tc.parameter, tc.name, "Tags", `[{"TagKey":"a","TagValue":"1"},{"TagKey":"b","TagValue":""}]`)
		b.must("TagResources", append(many, "Tag.1.Key", "b", "Tag.1.Value", "2", "Tag.2.Key", "c")...)
		check("a=1 b=2 c=")
		b.must("UntagResource", tc.parameter, tc.name, "TagKeys", `["a","none"]`)
		b.must("UntagResources", append(many, "TagKey.1", "c", "TagKey.2", "none")...)
		check("b=2")
	}
	if got, want := anonymous(b.must("ListResourceTags", "KeyId", id)), `{"Tags":{"Tag":[{"KeyId":"ID","TagKey":"b","TagValue":"2"}]},"RequestId":"ID"}`; got != want {
		t.Errorf("ListResourceTags = %s, want %s", got, want)
	}
	if body := b.must("DescribeSecret", "SecretName", "s", "FetchTags", "true"); !strings.Contains(body, `"Tags":{"Tag":[{"TagKey":"b","TagValue":"2"}]}`) {
		t.Errorf("DescribeSecret = %s, want its tag", body)
	}
}

func TestTagFilters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, name := range []string{"a", "b", "c"} {
		b.must("CreateSecret", "SecretName", name, "VersionId", "v1", "SecretData", canary)
	}
	b.must("TagResources", "RegionId", "r", "ResourceType", "secret", "ResourceId.1", "a", "ResourceId.2", "b", "Tag.1.Key", "env", "Tag.1.Value", "prod")
	b.must("TagResource", "SecretName", "b", "Tags", `[{"TagKey":"team","TagValue":"x"}]`)
	for _, tc := range []struct {
		pairs []string
		want  string
	}{
		{[]string{"Tag.1.Key", "env", "Tag.1.Value", "prod"}, "a:env=prod b:env=prod b:team=x"},
		{[]string{"Tag.1.Key", "env", "Tag.1.Value", "test"}, ""},
		{[]string{"Tag.1.Key", "env", "Tag.2.Key", "team", "Tag.2.Value", "x"}, "b:env=prod b:team=x"},
		{[]string{"Tag.1.Key", "env", "ResourceId.1", "a", "ResourceId.2", "gone"}, "a:env=prod"},
	} {
		if got, _ := b.tagsOf("secret", tc.pairs...); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.pairs, got, tc.want)
		}
	}
}

// All tags come, page by page, once.
func TestTagPages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var tags, names []string
	for i := range 20 {
		tags = append(tags, fmt.Sprintf(`{"TagKey":"k%02d","TagValue":"v"}`, i))
	}
	for i := range 21 {
		names = append(names, fmt.Sprint("ResourceId.", i+1), fmt.Sprintf("s%02d", i))
		b.must("CreateSecret", "SecretName", fmt.Sprintf("s%02d", i), "VersionId", "v1", "SecretData", canary, "Tags", "["+strings.Join(tags, ",")+"]")
	}
	got, pages := b.tagsOf("secret", names...)
	all := strings.Fields(got)
	if len(all) != 420 || pages != 3 || all[0] != "s00:k00=v" || all[419] != "s20:k19=v" {
		t.Errorf("%d tags on %d pages from %s to %s, want 420 on 3, all in order", len(all), pages, all[0], all[len(all)-1])
	}
}

func TestTagRefusals(t *testing.T) {
	t.Parallel()
	many := []string{"RegionId", "r", "ResourceType", "secret", "ResourceId.1", "s"}
	var twenty []string
	for i := range 20 {
		twenty = append(twenty, fmt.Sprintf("Tag.%d.Key", i+1), fmt.Sprint("k", i))
	}
	refused(t, []refusal{
		{"TagResource", []string{"Tags", `[{"TagKey":"k","TagValue":"v"}]`}, `400 MissingParameter: The parameter "KeyId" is needed but not provided.`},
		{"TagResource", []string{"SecretName", "s", "KeyId", "k", "Tags", `[{"TagKey":"k","TagValue":"v"}]`}, refusedInvalid("KeyId")},
		{"TagResource", []string{"CertificateId", "c", "Tags", `[{"TagKey":"k","TagValue":"v"}]`}, refusedNotFound},
		{"TagResource", []string{"SecretName", "s", "Tags", "[]"}, refusedInvalid("Tags")},
		{"TagResource", []string{"SecretName", "s", "Tags", `[{"TagKey":"acs:k","TagValue":"v"}]`}, refusedInvalid("Tags")},
		{"TagResource", []string{"SecretName", "none", "Tags", `[{"TagKey":"k","TagValue":"v"}]`}, refusedNotFound},
		{"UntagResource", []string{"SecretName", "s", "TagKeys", "k"}, refusedInvalid("TagKeys")},
		{"TagResources", []string{"ResourceType", "secret", "ResourceId.1", "s", "Tag.1.Key", "k"}, "400 MissingRegionId: RegionId is mandatory for this action."},
		{"TagResources", append(many, "ResourceType", "instance", "Tag.1.Key", "k"), refusedInvalid("ResourceType")},
		{"TagResources", many, "400 MissingTag: Tag is mandatory for this action."},
		{"TagResources", append(many, "ResourceId.3", "s", "Tag.1.Key", "k"), refusedInvalid("ResourceId")},
		{"TagResources", append(many, "ResourceId.2", "none", "Tag.1.Key", "k"), refusedNotFound},
		{"TagResources", append(many, "Tag.2.Key", "k"), refusedInvalid("Tag")},
		{"TagResources", append(append(many, twenty...), "Tag.21.Key", "x"), refusedInvalid("Tag")},
		{"UntagResources", many, `400 MissingParameter: The parameter "TagKey" is needed but not provided.`},
		{"ListTagResources", []string{"RegionId", "r", "ResourceType", "secret"}, `400 MissingParameter: The parameter "ResourceId" is needed but not provided.`},
		{"ListTagResources", append(many, "NextToken", "x"), refusedInvalid("NextToken")},
	})
	b := newBench(t)
	b.create()
	b.must("TagResources", append(many, twenty...)...)
	status, body := b.call("TagResources", append(many, "Tag.1.Key", "x")...)
	if got, want := code(t, status, body), "400 Rejected.LimitExceeded"; got != want {
		t.Errorf("a tag too many = %s, want %s", got, want)
	}
	b.must("DeleteSecret", "SecretName", "s")
	status, body = b.call("UntagResources", append(many, "All", "true")...)
	if got, want := code(t, status, body), "409 Rejected.ResourceInDeleteWindow"; got != want {
		t.Errorf("in the delete window = %s, want %s", got, want)
	}
}
