package emulator

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/kms"
	"github.com/aliyun/alibaba-cloud-sdk-go/services/sts"
)

// The vendor's SDK takes on a role, reads with it, and is told when it is over.
func TestSDKSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Emulator = New(Config{})
	if err := b.LoadPolicy(file(t, testPolicies)); err != nil {
		t.Fatal(err)
	}
	if err := b.Put("s", "v1", []byte("value")); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	client := func(with auth.Credential) *sdk.Client {
		c, err := sdk.NewClientWithOptions("cn-hangzhou", sdk.NewConfig().WithScheme(requests.HTTP), with)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	assume := sts.CreateAssumeRoleRequest()
	assume.RoleArn, assume.RoleSessionName, assume.Domain = appRole, "sdk", host
	assumed := sts.CreateAssumeRoleResponse()
	if err := client(credentials.NewAccessKeyCredential("reader", "reader-secret")).DoAction(assume, assumed); err != nil {
		t.Fatal(err)
	}
	c := assumed.Credentials
	session := client(credentials.NewStsTokenCredential(c.AccessKeyId, c.AccessKeySecret, c.SecurityToken))
	get := kms.CreateGetSecretValueRequest()
	get.SecretName, get.Domain = "s", host
	value := kms.CreateGetSecretValueResponse()
	if err := session.DoAction(get, value); err != nil || value.SecretData != "value" {
		t.Errorf("value = %q, %v; want it", value.SecretData, err)
	}
	who := sts.CreateGetCallerIdentityRequest()
	who.Domain = host
	identity := sts.CreateGetCallerIdentityResponse()
	if err := session.DoAction(who, identity); err != nil {
		t.Fatal(err)
	}
	if got, want := identity.Arn, "acs:ram::"+ours+":assumed-role/app/sdk"; got != want {
		t.Errorf("Arn = %q, want %q", got, want)
	}
	if err := b.Advance(3600e9); err != nil {
		t.Fatal(err)
	}
	err := session.DoAction(get, value)
	fault, ok := errors.AsType[*sdkerrors.ServerError](err)
	if !ok || fault.ErrorCode() != "InvalidSecurityToken.Expired" {
		t.Errorf("after its life: %v, want InvalidSecurityToken.Expired", err)
	}
}
