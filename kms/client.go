// Package kms reads secret values from Alibaba Cloud KMS Secrets Manager. It is
// the only importer of the Alibaba SDK, and lives with what is wrong in it: a
// client that no two goroutines may share, no context, error texts that carry
// signed URLs and tokens, panics on odd error bodies. It caches nothing and logs
// nothing; each call is reported to an Observer.
package kms

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/responses"
	sdkkms "github.com/aliyun/alibaba-cloud-sdk-go/services/kms"
	"golang.org/x/time/rate"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// Call is one finished call, as reported to an Observer.
type Call struct {
	Action   string        // the API action, or what else a login asks
	Code     string        // "OK", the error code, or the kind of a failure without one
	Duration time.Duration // of the whole exchange
}

// Observer hears of every call. It is called from many goroutines.
type Observer func(Call)

// Client reads secrets. It is safe for concurrent use.
type Client struct {
	settings  config.KMS
	transport *pool
	observe   Observer
	limit     *rate.Limiter
	calls     chan struct{} // under way; as many as there may be
	slots     sync.Pool     // of *slot
	flights   flights
	profiles  map[string]*profile
	files     fileReads // of logins
	region    regionFinder
	waitsFor  atomic.Pointer[Error]
	throttled atomic.Bool // the last poll was, and tried again in vain
	moved     func(string, error)
	away      atomic.Bool // the last read came from a fallback region
}

// New makes a client. It contacts nobody; the error is a bad CA file
// or proxy variable.
func New(settings config.KMS, login Login, agent string, observe Observer) (*Client, error) {
	transport, err := newPool(settings)
	if err != nil {
		return nil, err
	}
	c := &Client{settings: settings, transport: transport, observe: observe, files: fileReads{from: readRegular}}
	// Two seconds' worth may come at once: a start reads everything.
	c.limit = rate.NewLimiter(rate.Limit(settings.RateLimit), max(int(2*settings.RateLimit), 1))
	c.calls = make(chan struct{}, settings.Concurrency)
	c.slots.New = func() any { return newSlot(transport, agent) }
	c.profiles = c.newProfiles(login)
	c.region.turn = make(chan struct{}, 1)
	return c, nil
}

// Get reads one value (GetSecretValue) in one call, within settings.Timeout, and
// once more with fresh credentials if those at hand had expired. The error is an
// *Error.
func (c *Client) Get(ctx context.Context, id secret.ID) (secret.Value, error) {
	value, err := c.flights.do(ctx, c.plainest(id), c.fetch)
	if err != nil {
		err.ID = id
		if err.Region == "" {
			err.Region = c.knownRegion(id)
		}
		return secret.Value{}, err
	}
	return value, nil
}

// plainest is id without what would be so anyway, so that what is the same shares a
// flight. A region that was spelled out has no fallback.
func (c *Client) plainest(id secret.ID) secret.ID {
	if id.Auth == config.DefaultAuth {
		id.Auth = ""
	}
	if id.Account == "" && id.Region == c.settings.Region && len(c.settings.Fallback) == 0 {
		id.Region = ""
	}
	return id
}

// fetch reads from the region of id, and while that is out of reach from the
// fallback regions in their order.
func (c *Client) fetch(ctx context.Context, id secret.ID) (secret.Value, *Error) {
	p, ok := c.profiles[profileName(id)]
	if !ok { // config refuses such a declaration
		return secret.Value{}, noCredentials("no auth profile "+profileName(id), "declare it")
	}
	region, err := c.regionOf(ctx, id, p)
	if err != nil {
		return secret.Value{}, err
	}
	c.region.first.CompareAndSwap(nil, &region)
	value, err := c.fetchFrom(ctx, p, id, region)
	if err == nil && c.moved != nil && id.Region == "" && c.away.CompareAndSwap(true, false) {
		c.moved(region, nil)
	}
	if err == nil || id.Region != "" {
		return value, err
	}
	for _, other := range c.settings.Fallback {
		if err.Kind != Unavailable || err.step != "" || ctx.Err() != nil {
			break // a login has no region of ours
		}
		if value, failed := c.fetchFrom(ctx, p, id, other); failed == nil {
			if c.moved != nil && c.away.CompareAndSwap(false, true) {
				err.ID, err.Region = id, region
				c.moved(other, err)
			}
			return value, nil
		}
	}
	return value, err
}

// fetchFrom reads from one region, with fresh credentials if the first are refused
// as expired.
func (c *Client) fetchFrom(ctx context.Context, p *profile, id secret.ID, region string) (secret.Value, *Error) {
	if err := c.mayCall(ctx, region); err != nil { // before the login: a session may end in the wait
		return secret.Value{}, err
	}
	keys, err := p.bridge.get(ctx)
	if err != nil {
		return secret.Value{}, err
	}
	value, err := c.call(ctx, keys, id, region)
	torn := err != nil && err.Kind == BadCredentials && keys.reread > 0 // read while somebody renewed the files
	if err != nil && (err.mayHaveExpired() || torn) {
		if err := c.mayCall(ctx, region); err != nil {
			return secret.Value{}, err
		}
		fresh, failed := p.bridge.replace(ctx, keys)
		if failed != nil {
			return secret.Value{}, failed
		}
		if !fresh.same(keys) {
			return c.call(ctx, fresh, id, region)
		}
	}
	return value, err
}

// mayCall waits for the rate limit.
func (c *Client) mayCall(ctx context.Context, region string) *Error {
	if err := c.limit.Wait(ctx); err != nil {
		return &Error{Kind: Unavailable, Region: region, detail: transportDetail(ctx, err)}
	}
	return nil
}

// call does one GetSecretValue, when there is room for it: net/http counts connections,
// but loses count of those with HTTP/2 that have too many calls on them.
func (c *Client) call(ctx context.Context, keys Credentials, id secret.ID, region string) (secret.Value, *Error) {
	select {
	case c.calls <- struct{}{}:
		defer func() { <-c.calls }()
	case <-ctx.Done():
		return secret.Value{}, &Error{Kind: Unavailable, Region: region, detail: transportDetail(ctx, ctx.Err())}
	}
	ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout)
	defer cancel()
	start := time.Now()
	value, err := c.getSecretValue(ctx, keys, id, region)
	if err != nil {
		err.Region, err.caller = region, keys.identity
	}
	c.report("GetSecretValue", start, err)
	return value, err
}

func (c *Client) report(action string, start time.Time, err *Error) {
	call := Call{Action: action, Code: "OK", Duration: time.Since(start)}
	if err != nil {
		call.Code = err.code()
	}
	c.observe(call)
}

// getSecretValue does the call and checks the answer: a 2xx status from this SDK
// does not mean that there is a secret in it.
func (c *Client) getSecretValue(ctx context.Context, keys Credentials, id secret.ID, region string) (secret.Value, *Error) {
	request := sdkkms.CreateGetSecretValueRequest()
	request.RegionId = region
	request.Scheme, request.Domain = c.settings.URL(region)
	request.SecretName = id.SecretName()
	request.VersionStage = id.Stage
	request.VersionId = id.Version
	response := sdkkms.CreateGetSecretValueResponse()
	if err := c.do(ctx, keys, request, response); err != nil {
		return secret.Value{}, err
	}
	if wrong := unlike(id, response); wrong != "" {
		e := &Error{Kind: Invalid, detail: wrong, RequestID: clean(response.RequestId, requestPattern)}
		return secret.Value{}, e.without(keys)
	}
	value := secret.NewValue([]byte(response.SecretData), response.VersionId, response.VersionStages.VersionStage, date(response.CreateTime))
	value.Binary = response.SecretDataType == "binary"
	return value.WithNextRotation(date(response.NextRotationDate)), nil
}

// maxVersionID bounds the id of a version, in bytes: KMS's have up to 64 characters.
const maxVersionID = 256

// unlike tells how a good answer is not one to what was asked, if it is not.
func unlike(id secret.ID, response *sdkkms.GetSecretValueResponse) string {
	stages := response.VersionStages.VersionStage
	switch { // managed secrets have one version to give, whatever was asked for
	case response.VersionId == "" || response.RequestId == "":
		return "an answer without VersionId or RequestId"
	case !utf8.ValidString(response.VersionId) || len(response.VersionId) > maxVersionID: // it is told in logs and metrics
		return "an answer whose VersionId is none"
	case response.SecretName != id.Name && response.SecretName != id.SecretName():
		return "an answer for another secret"
	case id.Version != "" && response.VersionId != id.Version && (response.SecretType == "" || response.SecretType == "Generic"):
		return "an answer for another version"
	case id.Version == "" && len(stages) > 0 && !slices.Contains(stages, id.Stage):
		return "an answer for another stage"
	case response.SecretData == "": // CreateSecret and PutSecretValue take no empty value
		return "an answer without SecretData"
	}
	return ""
}

// do runs one SDK call on a slot of its own.
func (c *Client) do(ctx context.Context, keys Credentials, request requests.AcsRequest, response responses.AcsResponse) *Error {
	s := c.slots.Get().(*slot)
	got, err := s.run(ctx, keys, request, response)
	if err == nil {
		c.slots.Put(s)
		return nil
	}
	return classify(ctx, err, got).without(keys) // and a slot that may have panicked goes to waste
}

// without is e less what echoes the keys: who answers with them must not make us print them.
func (e *Error) without(keys Credentials) *Error {
	for _, word := range []*string{&e.Code, &e.RequestID} {
		if keys.within(*word) {
			*word = ""
		}
	}
	return e
}
