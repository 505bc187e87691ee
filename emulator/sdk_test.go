package emulator

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/responses"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/kms"
)

// sdkCaller returns a func that performs a request with the vendor's SDK against an emulator on loopback.
func sdkCaller(t *testing.T, secret string) func(requests.AcsRequest, responses.AcsResponse) error {
	t.Helper()
	server := httptest.NewServer(New(Config{}))
	t.Cleanup(server.Close)
	client, err := sdk.NewClientWithOptions("cn-hangzhou", sdk.NewConfig().WithScheme(requests.HTTP),
		credentials.NewAccessKeyCredential("emulator", secret))
	if err != nil {
		t.Fatal(err)
	}
	return func(request requests.AcsRequest, response responses.AcsResponse) error {
		request.SetDomain(strings.TrimPrefix(server.URL, "http://"))
		return client.DoAction(request, response)
	}
}

func TestSDK(t *testing.T) {
	t.Parallel()
	do := sdkCaller(t, "emulator-secret")
	call := func(request requests.AcsRequest, response responses.AcsResponse) {
		t.Helper()
		if err := do(request, response); err != nil {
			t.Fatalf("%s: %v", request.GetActionName(), err)
		}
	}

	create := kms.CreateCreateSecretRequest()
	create.SecretName, create.VersionId, create.SecretData = "app/db+x=@.-_", "v1", "a b*~+%&=/?ü\n"
	created := kms.CreateCreateSecretResponse()
	call(create, created)
	if got, want := created.Arn, "acs:kms:cn-hangzhou:1000000000000001:secret/app/db+x=@.-_"; got != want {
		t.Errorf("Arn = %q, want %q", got, want)
	}

	put := kms.CreatePutSecretValueRequest()
	put.SecretName, put.VersionId, put.SecretData, put.VersionStages = created.Arn, "v2", "two", `["ACSCurrent","x"]`
	stored := kms.CreatePutSecretValueResponse()
	call(put, stored)
	if got, want := strings.Join(stored.VersionStages.VersionStage, " "), "ACSCurrent x"; got != want {
		t.Errorf("stages = %q, want %q", got, want)
	}

	get := kms.CreateGetSecretValueRequest()
	get.SecretName, get.VersionStage = create.SecretName, stagePrevious
	value := kms.CreateGetSecretValueResponse()
	call(get, value)
	if got, want := value.SecretData, create.SecretData; got != want {
		t.Errorf("SecretData = %q, want %q", got, want)
	}

	describe := kms.CreateDescribeSecretRequest()
	describe.SecretName = create.SecretName
	described := kms.CreateDescribeSecretResponse()
	call(describe, described)
	if got, want := described.SecretName, create.SecretName; got != want {
		t.Errorf("SecretName = %q, want %q", got, want)
	}

	listed := kms.CreateListSecretsResponse()
	call(kms.CreateListSecretsRequest(), listed)
	if got, want := len(listed.SecretList.Secret), 1; got != want || listed.TotalCount != 1 {
		t.Errorf("%d secrets of %d, want %d of 1", got, listed.TotalCount, want)
	}

	sdkStages(t, create.SecretName, call)
	sdkDelete(t, create.SecretName, call)
}

// sdkCall performs a request or fails the test.
type sdkCall func(requests.AcsRequest, responses.AcsResponse)

func sdkStages(t *testing.T, name string, call sdkCall) {
	t.Helper()
	move := kms.CreateUpdateSecretVersionStageRequest()
	move.SecretName, move.VersionStage, move.MoveToVersion = name, stageCurrent, "v1"
	call(move, kms.CreateUpdateSecretVersionStageResponse())

	ids := kms.CreateListSecretVersionIdsRequest()
	ids.SecretName = name
	versions := kms.CreateListSecretVersionIdsResponse()
	call(ids, versions)
	var got []string
	for _, v := range versions.VersionIds.VersionId {
		got = append(got, v.VersionId+":"+strings.Join(v.VersionStages.VersionStage, ","))
	}
	if got, want := strings.Join(got, " "), "v1:ACSCurrent v2:x,ACSPrevious"; got != want {
		t.Errorf("versions = %q, want %q", got, want)
	}
}

func sdkDelete(t *testing.T, name string, call sdkCall) {
	t.Helper()
	remove := kms.CreateDeleteSecretRequest()
	remove.SecretName, remove.RecoveryWindowInDays = name, "7"
	removed := kms.CreateDeleteSecretResponse()
	call(remove, removed)
	if removed.PlannedDeleteTime == "" {
		t.Error("PlannedDeleteTime is empty")
	}
	restore := kms.CreateRestoreSecretRequest()
	restore.SecretName = name
	call(restore, kms.CreateRestoreSecretResponse())
}

func TestSDKErrors(t *testing.T) {
	t.Parallel()
	get := func(secret string) *sdkerrors.ServerError {
		t.Helper()
		request := kms.CreateGetSecretValueRequest()
		request.SecretName = "none"
		err := sdkCaller(t, secret)(request, kms.CreateGetSecretValueResponse())
		fault, ok := errors.AsType[*sdkerrors.ServerError](err)
		if !ok {
			t.Fatalf("error = %T, want *sdkerrors.ServerError", err)
		}
		return fault
	}
	fault := get("emulator-secret")
	if got, want := fault.ErrorCode(), "Forbidden.ResourceNotFound"; got != want || fault.HttpStatus() != 404 {
		t.Errorf("code = %d %s, want 404 %s", fault.HttpStatus(), got, want)
	}
	// The SDK compares its string to sign with ours; that they agree is how it knows that the key is wrong.
	fault = get("wrong")
	if got, want := fault.Recommend(), "InvalidAccessKeySecret: Please check you AccessKeySecret"; got != want {
		t.Errorf("recommendation = %q, want %q", got, want)
	}
}
