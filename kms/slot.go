package kms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/responses"
)

// maxBody bounds an answer, in bytes. A secret has at most 30,720 bytes of data
// (CreateSecret), which JSON can make six times longer.
const maxBody = 1 << 20

var (
	errRedirect = errors.New("the endpoint answered with a redirect")
	errTooLong  = fmt.Errorf("the answer is longer than %d bytes", maxBody)
	errPanic    = errors.New("the SDK panicked")
)

// slot is an SDK client for one call at a time: sdk.Client is not safe for
// concurrent use. It is its client's RoundTripper as well, which is how a context
// reaches a call (the SDK knows none), and its source of credentials, which is how
// one slot serves all profiles.
type slot struct {
	client    sdk.Client
	transport http.RoundTripper
	ctx       context.Context // of the call under way
	keys      Credentials     // that sign it
	answer    answer          // to it
}

// answer is what is known of an answer besides its body. The zero answer is none.
type answer struct {
	status int
	header http.Header
}

func newSlot(transport http.RoundTripper, agent string) *slot {
	s := &slot{transport: transport}
	settings := &sdk.Config{Scheme: "HTTPS", Transport: s, UserAgent: agent}
	if err := s.client.InitWithOptions("", settings, s); err != nil {
		panic(err) // a credential type that the SDK doesn't know: a fault of this package
	}
	s.client.SetReadTimeout(-1) // the context has the deadline; http.Client's own timer would cost a goroutine
	s.client.SetCloseTrace(true)
	// The SDK reads the proxy variables at every call and takes NO_PROXY for regular
	// expressions, which can fail every call. It ignores these values for a transport
	// that is not *http.Transport; ours does what the variables mean.
	s.client.SetNoProxy("^$")
	s.client.SetHttpProxy("http://unused.invalid")
	s.client.SetHttpsProxy("http://unused.invalid")
	return s
}

// run does one call. A slot whose call panicked is not to be used again.
func (s *slot) run(ctx context.Context, keys Credentials, request requests.AcsRequest, response responses.AcsResponse) (got answer, err error) {
	s.ctx, s.keys, s.answer = ctx, keys, answer{}
	defer func() {
		got = s.answer
		s.ctx, s.keys, s.answer = nil, Credentials{}, answer{}
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %T", errPanic, r) // the type only: the value may hold a body
		}
	}()
	return got, s.client.DoAction(request, response)
}

// GetCredentials is asked by the SDK at each signature.
func (s *slot) GetCredentials() (*credentials.Credentials, error) {
	return &credentials.Credentials{AccessKeyId: s.keys.id, AccessKeySecret: s.keys.secret(), SecurityToken: s.keys.sessionToken()}, nil
}

// GetProviderName goes into a header, where it has nothing to tell.
func (s *slot) GetProviderName() string { return "" }

// RoundTrip gives the SDK's request the call's context. It refuses redirects,
// which would carry the signed query to another host, and caps the body.
func (s *slot) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.transport.RoundTrip(r.WithContext(s.ctx))
	if err != nil {
		return nil, err
	}
	s.answer = answer{response.StatusCode, response.Header}
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		_ = response.Body.Close()
		return nil, errRedirect
	}
	response.Body = &cappedBody{body: response.Body, left: maxBody}
	return response, nil
}

// cappedBody fails a read past its limit, rather than end there as if that were all.
type cappedBody struct {
	body io.ReadCloser
	left int
}

func (b *cappedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

func (b *cappedBody) Close() error { return b.body.Close() }
