package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
)

// provider calls as Terraform's does: POST, signed by V1 over the common parameters in the query and those of the action in
// a form, Format in lower case.
type provider struct {
	t      *testing.T
	client *sdk.Client
	domain string
	calls  []string // the actions since they were last looked at
	query  []string // parameters of actions that go into the query
}

func newProvider(t *testing.T, e *Emulator) *provider {
	t.Helper()
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	client, err := sdk.NewClientWithOptions("cn-hangzhou", sdk.NewConfig().WithScheme(requests.HTTP),
		credentials.NewAccessKeyCredential("emulator", "emulator-secret"))
	if err != nil {
		t.Fatal(err)
	}
	return &provider{t: t, client: client, domain: strings.TrimPrefix(server.URL, "http://")}
}

// try returns the answer, or the code of the error.
func (p *provider) try(action string, form params) (map[string]any, string) {
	p.t.Helper()
	p.calls = append(p.calls, action)
	request := requests.NewCommonRequest()
	request.Method, request.Scheme, request.Domain = requests.POST, requests.HTTP, p.domain
	request.Version, request.ApiName, request.AcceptFormat = apiVersion, action, "json"
	for name, value := range form {
		switch {
		case slices.Contains(p.query, name):
			request.QueryParams[name] = value
		case value != "":
			request.FormParams[name] = value
		}
	}
	response, err := p.client.ProcessCommonRequest(request)
	if fault, ok := errors.AsType[*sdkerrors.ServerError](err); ok {
		return nil, fault.ErrorCode()
	}
	if err != nil {
		p.t.Fatalf("%s: %v", action, err)
	}
	var reply map[string]any
	if err := json.Unmarshal(response.GetHttpContentBytes(), &reply); err != nil {
		p.t.Fatalf("%s: %v", action, err)
	}
	return reply, ""
}

func (p *provider) do(action string, form params) map[string]any {
	p.t.Helper()
	reply, code := p.try(action, form)
	if code != "" {
		p.t.Fatalf("%s = %s, want success", action, code)
	}
	return reply
}

// called compares the actions since the last look.
func (p *provider) called(want string) {
	p.t.Helper()
	if got := strings.Join(p.calls, " "); got != want {
		p.t.Errorf("called\n got %s\nwant %s", got, want)
	}
	p.calls = nil
}

// attributes are those of a resource, as Terraform's state has them; tags are below "tags.".
type attributes map[string]string

// text is a field of an answer; one that is missing is empty, as it is for Terraform.
func text(reply map[string]any, name string) string {
	if reply[name] == nil {
		return ""
	}
	return fmt.Sprint(reply[name])
}

// differences are the attributes that were asked for and are not so.
func differences(asked, found attributes) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if asked[name] != found[name] {
			all = append(all, fmt.Sprintf("%s: asked %q, found %q", name, asked[name], found[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, ok := asked[name]; !ok && strings.HasPrefix(name, "tags.") {
			all = append(all, fmt.Sprintf("%s: found %q, not asked for", name, found[name]))
		}
	}
	return strings.Join(all, "\n")
}

// unchanged fails if a plan would not be empty.
func (p *provider) unchanged(asked, found attributes) {
	p.t.Helper()
	if diff := differences(asked, found); diff != "" {
		p.t.Errorf("a refresh finds differences:\n%s", diff)
	}
}

// tagList is the parameter Tags of the create actions, in no order.
func (a attributes) tagList() string {
	var all []tag
	for name, value := range a {
		if key, ok := strings.CutPrefix(name, "tags."); ok {
			all = append(all, tag{key, value})
		}
	}
	if all == nil {
		return ""
	}
	return compactJSON(all)
}

// readTags adds the tags of a resource.
func (p *provider) readTags(kind, id string, into attributes) {
	p.t.Helper()
	reply := p.do("ListTagResources", params{"RegionId": "cn-hangzhou", "ResourceType": kind, "ResourceId.1": id})
	list := reply["TagResources"].(map[string]any)["TagResource"].([]any)
	for _, item := range list {
		t := item.(map[string]any)
		into["tags."+text(t, "TagKey")] = text(t, "TagValue")
	}
}

// setTags takes off what is not wanted or has another value, and then puts on what is new.
func (p *provider) setTags(kind, id string, old, next attributes) {
	p.t.Helper()
	off := params{"RegionId": "cn-hangzhou", "ResourceType": kind, "ResourceId.1": id}
	on := maps.Clone(off)
	var removed, added int
	for name, value := range old {
		if key, ok := strings.CutPrefix(name, "tags."); ok && next[name] != value {
			removed++
			off[fmt.Sprint("TagKey.", removed)] = key
		}
	}
	for name, value := range next {
		if key, ok := strings.CutPrefix(name, "tags."); ok && old[name] != value {
			added++
			on[fmt.Sprintf("Tag.%d.Key", added)], on[fmt.Sprintf("Tag.%d.Value", added)] = key, value
		}
	}
	if removed > 0 {
		p.do("UntagResources", off)
	}
	if added > 0 {
		p.do("TagResources", on)
	}
}

func (a attributes) with(pairs ...string) attributes {
	next := maps.Clone(a)
	for i := 0; i < len(pairs); i += 2 {
		next[pairs[i]] = pairs[i+1]
	}
	return next
}

func (a attributes) without(names ...string) attributes {
	next := maps.Clone(a)
	for _, name := range names {
		delete(next, name)
	}
	return next
}
