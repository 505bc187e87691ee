package kms

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"

	"github.com/kmsrun/kmsrun/internal/exchange"
)

// classify makes an Error of whatever the SDK returned, without its text.
func classify(ctx context.Context, err error, got answer) *Error {
	e := kindOfFailure(ctx, err, got)
	e.heed(got.header)
	return e
}

func kindOfFailure(ctx context.Context, err error, got answer) *Error {
	if server, ok := errors.AsType[*sdkerrors.ServerError](err); ok {
		e := refusal(got.status, server.ErrorCode(), server.RequestId())
		e.account = principalAccount(server.AccessDeniedDetail())
		return e
	}
	if client, ok := errors.AsType[*sdkerrors.ClientError](err); ok {
		// Its text may quote the answer's body: the code is all that is safe.
		return &Error{Kind: Invalid, Code: clean(client.ErrorCode(), codePattern)}
	}
	switch {
	case errors.Is(err, errRedirect), errors.Is(err, errTooLong):
		return invalid(innermost(err).Error())
	case errors.Is(err, errPanic) && got.status >= http.StatusBadRequest:
		return refusal(got.status, "", "") // the body was not KMS's; its status still tells an outage
	case errors.Is(err, errPanic):
		return invalid("an error body that is not KMS's")
	}
	if proxy, ok := errors.AsType[*proxyError](err); ok {
		e := &Error{Kind: Unavailable, detail: proxy.Error(), advice: "check HTTPS_PROXY, and what the proxy lets pass"}
		if proxy.status < http.StatusInternalServerError {
			e.Kind = Invalid // no waiting helps
		}
		return e
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return invalid("it does not speak TLS; http:// before the endpoint means plain http")
	}
	return &Error{Kind: transportKind(err), detail: transportDetail(ctx, err)}
}

// refusal is an answer that says no.
func refusal(status int, code, requestID string) *Error {
	e := &Error{Code: clean(code, codePattern), RequestID: clean(requestID, requestPattern)}
	e.Kind = kindOfCode(e.Code, status)
	if e.Code == "" {
		e.detail = fmt.Sprintf("HTTP status %d without an error of KMS", status)
	}
	return e
}

// principalAccount is the account that RAM says the refused caller belongs to.
func principalAccount(detail map[string]any) string {
	account, _ := detail["AuthPrincipalOwnerId"].(string)
	return clean(account, accountPattern)
}

func transportKind(err error) Kind {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return Untrusted
	}
	return Unavailable
}

// transportDetail describes a failed exchange, and quotes nothing of it.
func transportDetail(ctx context.Context, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "no answer in time"
	}
	if ctx.Err() != nil {
		return "cancelled"
	}
	return exchange.Failure(err)
}

func innermost(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
