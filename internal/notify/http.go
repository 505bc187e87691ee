package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/kmsrun/kmsrun/internal/exchange"
)

const (
	postTimeout = 10 * time.Second
	answerRead  = 64 << 10 // bytes, so that the connection may be used again
)

// Body is what [HTTP] posts.
type Body struct {
	Variables []string `json:"variables"`
	Files     []string `json:"files"`
	Secrets   []Secret `json:"secrets"`
}

// HTTP posts the names and version ids of a change as JSON. Whatever is not an answer
// of 2xx is a failure; it is Temporary unless the answer says that the request is wrong
// (4xx but 408, 425 and 429) or belongs elsewhere (3xx: no redirect is followed).
func HTTP(address string) Func {
	client := Client(postTimeout)
	return func(ctx context.Context, news News) error {
		body, err := json.Marshal(Body{list(news.Variables), list(news.Files), news.Secrets})
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
		if err != nil {
			return errors.New("on_change http: not an address")
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return &Temporary{failed(err)}
		}
		defer response.Body.Close()
		_, _ = io.CopyN(io.Discard, response.Body, answerRead)
		return answered(response.StatusCode)
	}
}

func answered(status int) error {
	switch {
	case status/100 == 2:
		return nil
	case status/100 == 3, status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooEarly && status != http.StatusTooManyRequests:
		return fmt.Errorf("the answer is %d", status)
	default:
		return &Temporary{fmt.Errorf("the answer is %d", status)}
	}
}

// Client is an HTTP client of its own, for small requests to neighbours. It follows no
// redirects.
func Client(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
			TLSHandshakeTimeout: timeout, ForceAttemptHTTP2: true,
		},
	}
}

// failed is an error of net/http without what it quotes.
func failed(err error) error { return errors.New(exchange.Failure(err)) }

// list is never null in JSON.
func list(names []string) []string { return append([]string{}, names...) }

// Answers returns nil if a GET is answered with 2xx, within ctx.
func Answers(ctx context.Context, address string) error {
	client := Client(0) // ctx bounds it
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("health.http is not an address")
	}
	response, err := client.Do(request)
	if err != nil {
		return failed(err)
	}
	_ = response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the answer is %d", response.StatusCode)
	}
	return nil
}
