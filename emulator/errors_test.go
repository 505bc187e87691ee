package emulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// refusal is a call and its answer as "STATUS CODE: MESSAGE".
type refusal struct {
	action string
	pairs  []string
	want   string
}

const refusedNotFound = "404 Forbidden.ResourceNotFound: Resource not found"

const refusedCreate = "400 InvalidParameter: The specified parameter is invalid."

func refusedInvalid(name string) string {
	return `400 InvalidParameter: The specified parameter "` + name + `" is not valid.`
}

// refused makes each call to an emulator that has the secret s.
func refused(t *testing.T, rows []refusal) {
	t.Helper()
	for _, row := range rows {
		b := newBench(t)
		b.create()
		status, body := b.call(row.action, row.pairs...)
		var reply struct{ Code, Message string }
		decode(t, body, &reply)
		if got := fmt.Sprintf("%d %s: %s", status, reply.Code, reply.Message); got != row.want {
			t.Errorf("%s %.80q\n got %s\nwant %s", row.action, row.pairs, got, row.want)
		}
	}
}

func TestGatewayRefusals(t *testing.T) {
	t.Parallel()
	refused(t, []refusal{
		{"NoSuchAction", nil, "404 InvalidAction.NotFound: Specified api is not found, please check your url and method."},
		{"getsecretvalue", nil, "404 InvalidAction.NotFound: Specified api is not found, please check your url and method."},
		{"ListSecrets", []string{"Version", "2016-01-21"}, "400 InvalidVersion: Specified parameter Version is not valid."},
		{"ListSecrets", []string{"Version", ""}, "400 MissingVersion: Version is mandatory for this action."},
		{"", nil, "400 MissingAction: Action is mandatory for this action."},
		{"ListSecrets", []string{"Format", "YAML"}, refusedInvalid("Format")},
		{"ListSecrets", []string{"SecurityToken", "x"}, "400 InvalidSecurityToken.Malformed: Specified SecurityToken is malformed."},
		{"ListSecrets", []string{"AccessKeyId", "other"}, "404 InvalidAccessKeyId.NotFound: Specified access key is not found."},
		{"ListSecrets", []string{"AccessKeyId", ""}, "400 MissingAccessKeyId: AccessKeyId is mandatory for this action."},
		{"ListSecrets", []string{"SignatureNonce", ""}, "400 MissingSignatureNonce: SignatureNonce is mandatory for this action."},
		{"ListSecrets", []string{"Timestamp", ""}, "400 MissingTimestamp: Timestamp is mandatory for this action."},
		{"ListSecrets", []string{"Timestamp", "2026-01-02T03:04:05.0Z"}, "400 InvalidTimeStamp.Format: Specified time stamp or date value is not well formatted."},
		{"ListSecrets", []string{"Timestamp", "2026-01-02 03:04:05"}, "400 InvalidTimeStamp.Format: Specified time stamp or date value is not well formatted."},
		{"ListSecrets", []string{"Timestamp", "2025-01-02T03:04:05Z"}, "400 InvalidTimeStamp.Expired: Specified time stamp or date value is expired."},
		{"ListSecrets", []string{"SignatureMethod", "HMAC-MD5"}, "400 InvalidSignatureMethod: Specified signature method is not valid."},
		{"ListSecrets", []string{"SignatureVersion", "2.0"}, "400 IncompleteSignature: The request signature does not conform to Alibaba Cloud standards."},
	})
}

func TestCreateRefusals(t *testing.T) {
	t.Parallel()
	ourARN, long := "acs:kms:cn-hangzhou:1000000000000001:secret/", strings.Repeat("n", 193)
	create := []string{"SecretName", "new", "VersionId", "v1", "SecretData", canary}
	refused(t, []refusal{
		{"CreateSecret", []string{"VersionId", "v1", "SecretData", canary}, "400 MissingSecretName: SecretName is mandatory for this action."},
		{"CreateSecret", []string{"SecretName", "new", "SecretData", canary}, "400 MissingVersionId: VersionId is mandatory for this action."},
		{"CreateSecret", []string{"SecretName", "new", "VersionId", "v1"}, "400 MissingSecretData: SecretData is mandatory for this action."},
		{"CreateSecret", append(create, "SecretName", "s"), "409 Rejected.ResourceExist: The resource already exists."},
		{"CreateSecret", append(create, "SecretName", "a b"), refusedCreate},
		{"CreateSecret", append(create, "SecretName", "acs/x"), refusedCreate},
		{"CreateSecret", append(create, "SecretName", "$Auto"), refusedCreate},
		{"CreateSecret", append(create, "SecretName", ourARN+"new"), refusedCreate},
		{"CreateSecret", append(create, "SecretName", long), refusedCreate},
		{"CreateSecret", append(create, "VersionId", strings.Repeat("v", 65)), refusedCreate},
		{"CreateSecret", append(create, "SecretData", canary+strings.Repeat("x", 30721-len(canary))), refusedCreate},
		{"CreateSecret", append(create, "SecretDataType", "json"), refusedCreate},
		{"CreateSecret", append(create, "SecretType", "rds"), refusedCreate},
		{"CreateSecret", append(create, "EnableAutomaticRotation", "maybe"), refusedCreate},
		{"CreateSecret", append(create, "EncryptionKeyId", "k"), "404 Forbidden.ResourceNotFound: The resource is not found."},
		{"CreateSecret", append(create, "EncryptionKeyId", "alias/k"), "404 Forbidden.ResourceNotFound: The resource is not found."},
		{"CreateSecret", append(create, "ExtendedConfig", "[]"), refusedCreate},
		{"CreateSecret", append(create, "ExtendedConfig", `{"a":"`+strings.Repeat("x", 1017)+`"}`), refusedCreate},
		{"CreateSecret", append(create, "DKMSInstanceId", strings.Repeat("k", 65)), refusedCreate},
		{"CreateSecret", append(create, "Policy", "{}"), refusedCreate},
		{"CreateSecret", append(create, "DKMSInstanceId", "kst", "Policy", "[]"), refusedCreate},
		{"CreateSecret", append(create, "DKMSInstanceId", "kst", "Policy", `{"a":"`+strings.Repeat("x", 32761)+`"}`), refusedCreate},
		{"CreateSecret", append(create, "Tags", "{}"), refusedCreate},
	})
}

func TestPutRefusals(t *testing.T) {
	t.Parallel()
	put := []string{"SecretName", "s", "VersionId", "v9", "SecretData", canary}
	refused(t, []refusal{
		{"PutSecretValue", append(put, "SecretName", "none"), refusedNotFound},
		{"PutSecretValue", append(put, "VersionId", "v1"), "409 Rejected.ResourceExist: The request was rejected becasue key already exsit"},
		{"PutSecretValue", append(put, "VersionStages", "[]"), refusedInvalid("VersionStages")},
		{"PutSecretValue", append(put, "VersionStages", `[""]`), refusedInvalid("VersionStages")},
		{"PutSecretValue", append(put, "VersionStages", `"ACSCurrent"`), refusedInvalid("VersionStages")},
		{"PutSecretValue", append(put, "VersionStages", `{"VersionStages":["x"]}`), refusedInvalid("VersionStages")},
		{"PutSecretValue", append(put, "VersionStages", `["1","2","3","4","5","6","7"]`), "400 Rejected.LimitExceeded: The secret quota is exceeded."},
		{"PutSecretValue", append(put, "SecretData", strings.Repeat("x", 30721)), refusedInvalid("SecretData")},
	})
}

func TestReadRefusals(t *testing.T) {
	t.Parallel()
	const ourARN = "acs:kms:cn-hangzhou:1000000000000001:secret/"
	refused(t, []refusal{
		{"GetSecretValue", []string{"SecretName", "none"}, refusedNotFound},
		{"GetSecretValue", []string{"SecretName", "a b"}, refusedInvalid("SecretName")},
		{"GetSecretValue", []string{"SecretName", "acs:kms:cn-beijing:1000000000000001:secret/s"}, refusedNotFound},
		{"GetSecretValue", []string{"SecretName", ourARN}, refusedInvalid("SecretName")},
		{"GetSecretValue", []string{"SecretName", "s", "VersionStage", "ACSPrevious"}, refusedNotFound},
		{"GetSecretValue", []string{"SecretName", "s", "VersionId", "v0"}, refusedNotFound},
		{"GetSecretValue", []string{"SecretName", "s", "VersionId", "v1", "VersionStage", "x"}, refusedInvalid("VersionStage")},
		{"GetSecretValue", []string{"SecretName", "s", "DryRun", "true"}, "400 DryRunOperationError: The request would have succeeded, but DryRun is set."},
		{"GetSecretValue", []string{"SecretName", "s", "FetchExtendedConfig", "1"}, refusedInvalid("FetchExtendedConfig")},
	})
}

func TestOtherRefusals(t *testing.T) {
	t.Parallel()
	refused(t, []refusal{
		{"DescribeSecret", []string{"SecretName", "none"}, refusedNotFound},
		{"DescribeSecret", []string{"SecretName", "s", "FetchTags", "yes"}, refusedInvalid("FetchTags")},
		{"ListSecrets", []string{"Filters", "{}"}, refusedInvalid("Filters")},
		{"ListSecrets", []string{"Filters", `[{"Key":"secretname","Values":["s"]}]`}, refusedInvalid("Filters")},
		{"ListSecrets", []string{"Filters", `[{"Key":"SecretName","Values":[]}]`}, refusedInvalid("Filters")},
		{"ListSecrets", []string{"Filters", "[" + strings.Repeat(`{"Key":"TagKey","Values":["s"]},`, 10) + `{"Key":"TagKey","Values":["s"]}]`}, refusedInvalid("Filters")},
		{"ListSecrets", []string{"FetchTags", "x"}, refusedInvalid("FetchTags")},
		{"ListSecrets", []string{"PageNumber", "0"}, refusedInvalid("PageNumber")},
		{"ListSecrets", []string{"PageNumber", "99999999999999999999"}, refusedInvalid("PageNumber")},
		{"ListSecrets", []string{"PageSize", "101"}, refusedInvalid("PageSize")},
		{"ListSecretVersionIds", []string{"SecretName", "none"}, refusedNotFound},
		{"ListSecretVersionIds", []string{"SecretName", "s", "PageSize", "x"}, refusedInvalid("PageSize")},
		{"ListSecretVersionIds", []string{"SecretName", "s", "IncludeDeprecated", "x"}, refusedInvalid("IncludeDeprecated")},
		{"UpdateSecretVersionStage", []string{"SecretName", "s"}, "400 MissingVersionStage: VersionStage is mandatory for this action."},
		{"UpdateSecretVersionStage", []string{"SecretName", "s", "VersionStage", "x"}, `400 MissingParameter: The parameter "MoveToVersion" is needed but not provided.`},
		{"UpdateSecretVersionStage", []string{"SecretName", "s", "VersionStage", "ACSCurrent", "RemoveFromVersion", "v1"}, `400 MissingParameter: The parameter "MoveToVersion" is needed but not provided.`},
		{"UpdateSecretVersionStage", []string{"SecretName", "s", "VersionStage", "x", "RemoveFromVersion", "v1"}, refusedInvalid("RemoveFromVersion")},
		{"UpdateSecretVersionStage", []string{"SecretName", "s", "VersionStage", "x", "RemoveFromVersion", "v0"}, refusedInvalid("RemoveFromVersion")},
		{"UpdateSecretVersionStage", []string{"SecretName", "s", "VersionStage", "x", "MoveToVersion", "v0"}, refusedNotFound},
		{"UpdateSecretVersionStage", []string{"SecretName", "s", "VersionStage", strings.Repeat("x", 65), "MoveToVersion", "v1"}, refusedInvalid("VersionStage")},
		{"UpdateSecretVersionStage", []string{"SecretName", "none", "VersionStage", "x", "MoveToVersion", "v1"}, refusedNotFound},
		{"DeleteSecret", []string{"SecretName", "none"}, refusedNotFound},
		{"DeleteSecret", []string{"SecretName", "s", "RecoveryWindowInDays", "6"}, refusedInvalid("RecoveryWindowInDays")},
		{"DeleteSecret", []string{"SecretName", "s", "RecoveryWindowInDays", "31"}, refusedInvalid("RecoveryWindowInDays")},
		{"DeleteSecret", []string{"SecretName", "s", "ForceDeleteWithoutRecovery", "1"}, refusedInvalid("ForceDeleteWithoutRecovery")},
		{"RestoreSecret", []string{"SecretName", "none"}, refusedNotFound},
		{"RestoreSecret", []string{"SecretName", "s"}, "409 Rejected.ResourceInUse: restore normal secret"},
	})
}

func TestErrorBodies(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, body := b.call("Nothing")
	want := `{"RequestId":"ID","HostId":"kms.test","Code":"InvalidAction.NotFound","Message":"Specified api is not found, please check your url and method.",` +
		`"Recommend":"https://api.aliyun.com/troubleshoot?q=InvalidAction.NotFound&product=Kms&requestId=ID"}`
	if got := anonymous(body); got != want {
		t.Errorf("gateway error\n got %s\nwant %s", got, want)
	}
	_, body = b.call("GetSecretValue", "SecretName", "s")
	want = `{"HttpStatus":404,"Code":"Forbidden.ResourceNotFound","Message":"Resource not found","RequestId":"ID","HostId":"kms.test"}`
	if got := anonymous(body); got != want {
		t.Errorf("KMS error\n got %s\nwant %s", got, want)
	}
}

func TestTransport(t *testing.T) {
	t.Parallel()
	const formType = "application/x-www-form-urlencoded"
	for _, tc := range []struct {
		name, method, url, kind, body string
		want                          string
	}{
		{"no parameters", http.MethodGet, "/", "", "", "400 MissingAction"},
		{"unsigned", http.MethodGet, "/?Action=ListSecrets&Version=2016-01-20", "", "", "400 IncompleteSignature"},
		{"other path", http.MethodPost, "/x", "", "", "404 InvalidAction.NotFound"},
		{"other method", http.MethodPut, "/", "", "", "400 UnsupportedHTTPMethod"},
		{"broken query", http.MethodGet, "/?a=%zz", "", "", "400 ParseRequestParameterException"},
		{"broken form", http.MethodPost, "/", formType, "a=%zz", "400 ParseRequestParameterException"},
		{"JSON body", http.MethodPost, "/", "application/json", "{}", "400 ParseRequestParameterException"},
		{"untyped body", http.MethodPost, "/", "", "a=b", "400 ParseRequestParameterException"},
		{"not UTF-8", http.MethodGet, "/?a=%ff", "", "", "400 ParseRequestParameterException"},
		{"two values", http.MethodPost, "/?a=1", formType, "a=2", "400 ParseRequestParameterException"},
		{"one value twice", http.MethodPost, "/?a=1", formType, "a=1", "400 MissingAction"},
		{"full body", http.MethodPost, "/", formType, strings.Repeat("a", maxBody), "400 MissingAction"},
		{"big body", http.MethodPost, "/", formType, strings.Repeat("a", maxBody+1), "413 ParseRequestParameterException"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(tc.method, "http://kms.test"+tc.url, strings.NewReader(tc.body))
			if tc.kind != "" {
				r.Header.Set("Content-Type", tc.kind)
			}
			w := newBench(t).send(r, "")
			if got := code(t, w.Code, w.Body.String()); got != tc.want {
				t.Errorf("answer = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestIncompleteV3(t *testing.T) {
	t.Parallel()
	for _, authorization := range []string{
		"ACS3-HMAC-SHA256",
		"ACS3-HMAC-SHA256 ",
		"ACS3-HMAC-SHA256 Credential=emulator,Signature=x",
		"ACS3-HMAC-SHA256 Credential=emulator,SignedHeaders=host,Signature=x",
		"ACS3-HMAC-SHA256 Credential=emulator,SignedHeaders=host;x-acs-version;x-acs-action,Signature=x",
		"ACS3-HMAC-SHA256 Credential=emulator,Credential=emulator,SignedHeaders=host,Signature=x",
	} {
		b := newBench(t)
		r := b.signedV3Request("ListSecrets", nil, nil)
		r.Header.Set("Authorization", authorization)
		w := b.send(r, "ListSecrets")
		if got, want := code(t, w.Code, w.Body.String()), "400 IncompleteSignature"; got != want {
			t.Errorf("%s: answer = %s, want %s", authorization, got, want)
		}
	}
	b := newBench(t)
	r := b.signedV3Request("ListSecrets", nil, nil)
	r.Header.Set("X-Acs-Security-Token", "x")
	w := b.send(r, "ListSecrets")
	if got, want := code(t, w.Code, w.Body.String()), "400 IncompleteSignature"; got != want {
		t.Errorf("with a token that is not signed: answer = %s, want %s", got, want)
	}
}
