// Package kms reads secret values from Alibaba Cloud KMS Secrets Manager. It is
// the only importer of the Alibaba SDK, and lives with what is wrong in it: a
// client that no two goroutines may share, no context, error texts that carry
// signed URLs and tokens, panics on odd error bodies. It caches nothing and logs
// nothing; each call is reported to an Observer.
package kms

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	sdkkms "github.com/aliyun/alibaba-cloud-sdk-go/services/kms"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// Call is one finished call, as reported to an Observer.
type Call struct {
	Action   string        // the API action
	Code     string        // "OK", the KMS error code, or the kind of a failure without one
	Duration time.Duration // of the whole exchange
}

// Observer hears of every call. It is called from many goroutines.
type Observer func(Call)

// Client reads secrets. It is safe for concurrent use.
type Client struct {
	settings  config.KMS
	transport http.RoundTripper
	observe   Observer
	slots     sync.Pool // of *slot
}

// New makes a client. It contacts nobody; the error is a bad CA file.
func New(settings config.KMS, credentials Credentials, agent string, observe Observer) (*Client, error) {
	transport, err := newTransport(settings)
	if err != nil {
		return nil, err
	}
	c := &Client{settings: settings, transport: transport, observe: observe}
	c.slots.New = func() any { return newSlot(transport, credentials, agent) }
	return c, nil
}

// Get reads one value (GetSecretValue) in one call, within settings.Timeout. The
// error is an *Error.
func (c *Client) Get(ctx context.Context, id secret.ID) (secret.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	start := time.Now()
	value, err := c.get(ctx, id)
	call := Call{Action: "GetSecretValue", Code: "OK", Duration: time.Since(start)}
	if err != nil {
		call.Code = err.code()
		err.ID, err.Region = id, c.region(id)
		c.observe(call)
		return secret.Value{}, err
	}
	c.observe(call)
	return value, nil
}

func (c *Client) region(id secret.ID) string {
	if id.Region != "" {
		return id.Region
	}
	return c.settings.Region
}

// get does the call and checks the answer: a 2xx status from this SDK does not
// mean that there is a secret in it.
func (c *Client) get(ctx context.Context, id secret.ID) (secret.Value, *Error) {
	request := sdkkms.CreateGetSecretValueRequest()
	request.RegionId = c.region(id)
	request.Scheme, request.Domain = c.settings.URL(request.RegionId)
	request.SecretName = id.SecretName()
	request.VersionStage = id.Stage
	request.VersionId = id.Version
	response := sdkkms.CreateGetSecretValueResponse()
	if err := c.do(ctx, request, response); err != nil {
		return secret.Value{}, classify(ctx, err)
	}
	switch {
	case response.VersionId == "" || response.RequestId == "":
		return secret.Value{}, invalid("an answer without VersionId or RequestId")
	case response.SecretName != id.Name && response.SecretName != id.SecretName():
		return secret.Value{}, invalid("an answer for another secret")
	}
	if response.SecretData == "" { // CreateSecret and PutSecretValue take no empty value
		return secret.Value{}, invalid("an answer without SecretData")
	}
	created, _ := time.Parse(time.RFC3339Nano, response.CreateTime) // informative: a zero time will do
	return secret.NewValue([]byte(response.SecretData), response.VersionId, response.VersionStages.VersionStage, created), nil
}

// do runs one SDK call on a slot of its own. A slot whose call panicked is not
// used again.
func (c *Client) do(ctx context.Context, request *sdkkms.GetSecretValueRequest, response *sdkkms.GetSecretValueResponse) (err error) {
	s := c.slots.Get().(*slot)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %T", errPanic, r) // the type only: the value may hold a body
			if s.status >= http.StatusBadRequest {
				err = sdkerrors.NewServerError(s.status, "", "") // the body was not KMS's; its status still tells an outage
			}
			return
		}
		s.ctx = nil
		c.slots.Put(s)
	}()
	s.ctx, s.status = ctx, 0
	return s.client.DoAction(request, response)
}
