package emulator

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

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/responses"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/kms"
)

// lifeStep is one call in the life of the secrets that the manual makes, with all fields of its answer. The module
// test/openapi goes through the same table with the newer SDK.
type lifeStep struct {
	Action string            `json:"action"`
	Params map[string]string `json:"params"`
	Answer map[string]any    `json:"answer"`
	Error  string            `json:"error"` // "STATUS CODE"
}

// lifePatterns are what the table writes with a tilde.
var lifePatterns = map[string]*regexp.Regexp{
	"~uuid":  regexp.MustCompile("^" + uuid.String() + "$"),
	"~time":  regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	"~china": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+08:00$`),
}

// differs tells the first difference between an answer and the table, or nothing.
func differs(at string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		have, _ := got.(map[string]any)
		if len(have) != len(want) {
			return fmt.Sprintf("%s = %v, want the fields of %v", at, got, want)
		}
		for key, value := range want {
			if diff := differs(at+"."+key, value, have[key]); diff != "" {
				return diff
			}
		}
		return ""
	case []any:
		have, _ := got.([]any)
		if len(have) != len(want) {
			return fmt.Sprintf("%s = %v, want %d elements", at, got, len(want))
		}
		for i, value := range want {
			if diff := differs(fmt.Sprintf("%s[%d]", at, i), value, have[i]); diff != "" {
				return diff
			}
		}
		return ""
	case string:
		if lifeMatches(want, fmt.Sprint(got)) {
			return ""
		}
	}
	if got == want {
		return ""
	}
	return fmt.Sprintf("%s = %v, want %v", at, got, want)
}

// lifeMatches knows the patterns and, of "~in N days", that the time is not far from it.
func lifeMatches(want, got string) bool {
	if pattern := lifePatterns[want]; pattern != nil {
		return pattern.MatchString(got)
	}
	var days int
	if _, err := fmt.Sscanf(want, "~in %d days", &days); err != nil {
		return want == got
	}
	at, err := time.Parse(time.RFC3339Nano, got)
	return err == nil && strings.HasSuffix(got, "Z") && time.Until(at.AddDate(0, 0, -days)).Abs() < time.Minute
}

func lifeSteps(t *testing.T) []lifeStep {
	t.Helper()
	text, err := os.ReadFile("testdata/lifecycle.json")
	if err != nil {
		t.Fatal(err)
	}
	var steps []lifeStep
	decode(t, string(text), &steps)
	return steps
}

// sdkRequest is a request of the SDK for an action, with the answer it goes with.
func sdkRequest(action string) (requests.AcsRequest, responses.AcsResponse) {
	switch action {
	case "CreateSecret":
		return kms.CreateCreateSecretRequest(), kms.CreateCreateSecretResponse()
	case "PutSecretValue":
		return kms.CreatePutSecretValueRequest(), kms.CreatePutSecretValueResponse()
	case "GetSecretValue":
		return kms.CreateGetSecretValueRequest(), kms.CreateGetSecretValueResponse()
	case "DescribeSecret":
		return kms.CreateDescribeSecretRequest(), kms.CreateDescribeSecretResponse()
	case "ListSecrets":
		return kms.CreateListSecretsRequest(), kms.CreateListSecretsResponse()
	case "ListSecretVersionIds":
		return kms.CreateListSecretVersionIdsRequest(), kms.CreateListSecretVersionIdsResponse()
	case "UpdateSecret":
		return kms.CreateUpdateSecretRequest(), kms.CreateUpdateSecretResponse()
	case "UpdateSecretVersionStage":
		return kms.CreateUpdateSecretVersionStageRequest(), kms.CreateUpdateSecretVersionStageResponse()
	case "UpdateSecretRotationPolicy":
		return kms.CreateUpdateSecretRotationPolicyRequest(), kms.CreateUpdateSecretRotationPolicyResponse()
	case "RotateSecret":
		return kms.CreateRotateSecretRequest(), kms.CreateRotateSecretResponse()
	case "DeleteSecret":
		return kms.CreateDeleteSecretRequest(), kms.CreateDeleteSecretResponse()
	case "RestoreSecret":
		return kms.CreateRestoreSecretRequest(), kms.CreateRestoreSecretResponse()
	case "GetRandomPassword":
		return kms.CreateGetRandomPasswordRequest(), kms.CreateGetRandomPasswordResponse()
	case "DescribeKey":
		return kms.CreateDescribeKeyRequest(), kms.CreateDescribeKeyResponse()
	}
	return nil, nil
}

func TestLifeCycle(t *testing.T) {
	t.Parallel()
	e := New(Config{})
	if _, err := e.LoadSeed("testdata/lifecycle.yaml"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	client, err := sdk.NewClientWithOptions("cn-hangzhou", sdk.NewConfig().WithScheme(requests.HTTP),
		credentials.NewAccessKeyCredential("emulator", "emulator-secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range lifeSteps(t) {
		at := fmt.Sprintf("step %d, %s", i+1, step.Action)
		request, response := sdkRequest(step.Action)
		for name, value := range step.Params {
			reflect.ValueOf(request).Elem().FieldByName(strings.ReplaceAll(name, ".", "")).SetString(value)
		}
		request.SetDomain(strings.TrimPrefix(server.URL, "http://"))
		err := client.DoAction(request, response)
		if step.Error != "" {
			fault, ok := errors.AsType[*sdkerrors.ServerError](err)
			if !ok || fmt.Sprint(fault.HttpStatus(), " ", fault.ErrorCode()) != step.Error {
				t.Errorf("%s: error = %v, want %s", at, err, step.Error)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		var raw map[string]any
		decode(t, response.GetHttpContentString(), &raw)
		if diff := differs(at, step.Answer, raw); diff != "" {
			t.Error(diff)
		}
		// The SDK's own fields: all that the table names, the others being empty.
		for name, want := range step.Answer {
			field, err := json.Marshal(reflect.ValueOf(response).Elem().FieldByName(name).Interface())
			if text, ok := want.(string); ok && (err != nil || !lifeMatches(text, unquote(field))) {
				t.Errorf("%s: field %s = %s, want %s", at, name, field, text)
			}
		}
	}
}

func unquote(text []byte) string {
	var s string
	_ = json.Unmarshal(text, &s)
	return s
}
