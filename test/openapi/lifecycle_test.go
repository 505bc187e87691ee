// Package openapi drives the emulator with the newer SDK of Alibaba Cloud, which signs by V3. It is a module of its own
// so that the product does not depend on that SDK.
package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	kms "github.com/alibabacloud-go/kms-20160120/v3/client"
	"github.com/alibabacloud-go/tea/tea"

	"github.com/kmsrun/kmsrun/emulator"
)

const testdata = "../../emulator/testdata/"

// step is one call of the table that the emulator's own test goes through with the older SDK.
type step struct {
	Action string            `json:"action"`
	Params map[string]string `json:"params"`
	Answer map[string]any    `json:"answer"`
	Error  string            `json:"error"` // "STATUS CODE"
}

// patterns are what the table writes with a tilde.
var patterns = map[string]*regexp.Regexp{
	"~uuid":  regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
	"~time":  regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	"~china": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+08:00$`),
}

// plain puts the texts of the table in place of what matches them, so that whole answers can be compared.
func plain(want, got any) any {
	switch want := want.(type) {
	case map[string]any:
		if have, ok := got.(map[string]any); ok {
			for key := range have {
				have[key] = plain(want[key], have[key])
			}
		}
	case []any:
		if have, ok := got.([]any); ok && len(have) == len(want) {
			for i := range have {
				have[i] = plain(want[i], have[i])
			}
		}
	case string:
		if matches(want, fmt.Sprint(got)) {
			return want
		}
	}
	return got
}

// matches knows the patterns and, of "~in N days", that the time is not far from it.
func matches(want, got string) bool {
	if pattern := patterns[want]; pattern != nil {
		return pattern.MatchString(got)
	}
	var days int
	if _, err := fmt.Sscanf(want, "~in %d days", &days); err != nil {
		return want == got
	}
	at, err := time.Parse(time.RFC3339Nano, got)
	return err == nil && strings.HasSuffix(got, "Z") && time.Until(at.AddDate(0, 0, -days)).Abs() < time.Minute
}

func steps(t *testing.T) []step {
	t.Helper()
	text, err := os.ReadFile(testdata + "lifecycle.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []step
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// newClient returns the SDK's client of an emulator on loopback, which knows the key of the manual.
func newClient(t *testing.T) *kms.Client {
	t.Helper()
	e := emulator.New(emulator.Config{})
	if _, err := e.LoadSeed(testdata + "lifecycle.yaml"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	client, err := kms.NewClient(&openapi.Config{
		AccessKeyId:     new("emulator"),
		AccessKeySecret: new("emulator-secret"),
		Endpoint:        new(strings.TrimPrefix(server.URL, "http://")),
		Protocol:        new("http"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// call performs one step with the client's method of that name and returns the body of the answer.
func call(client *kms.Client, s step) (map[string]any, error) {
	method := reflect.ValueOf(client).MethodByName(s.Action)
	request := reflect.New(method.Type().In(0).Elem())
	for name, value := range s.Params {
		outer, inner, nested := strings.Cut(name, ".")
		field := request.Elem().FieldByName(outer)
		text := []byte(value) // a truth value or a map has a type of its own in this SDK
		if _, ok := field.Interface().(*string); ok {
			text, _ = json.Marshal(value)
		}
		if nested {
			text, _ = json.Marshal(map[string]json.RawMessage{inner: text})
		}
		if err := json.Unmarshal(text, field.Addr().Interface()); err != nil {
			return nil, err
		}
	}
	out := method.Call([]reflect.Value{request})
	if err, ok := out[1].Interface().(error); ok {
		return nil, err
	}
	text, err := json.Marshal(out[0].Elem().FieldByName("Body").Interface())
	if err != nil {
		return nil, err
	}
	var body map[string]any
	return body, json.Unmarshal(text, &body)
}

func TestLifeCycle(t *testing.T) {
	t.Parallel()
	client := newClient(t)
	for i, s := range steps(t) {
		at := fmt.Sprintf("step %d, %s", i+1, s.Action)
		got, err := call(client, s)
		if s.Error != "" {
			fault, ok := errors.AsType[*tea.SDKError](err)
			if !ok || fmt.Sprint(tea.IntValue(fault.StatusCode), " ", tea.StringValue(fault.Code)) != s.Error {
				t.Errorf("%s: error = %v, want %s", at, err, s.Error)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if got := plain(s.Answer, got); !reflect.DeepEqual(got, any(s.Answer)) {
			t.Errorf("%s\n got %v\nwant %v", at, got, s.Answer)
		}
	}
}
