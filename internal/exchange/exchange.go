// Package exchange says why an exchange over HTTP failed, without a word of what was
// exchanged. The texts of net/http hold the URL, which may hold a token, the address of a
// proxy with its password, and whatever bytes came where HTTP was to come: those of
// another answer, if something between mixes them up.
package exchange

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"unicode"
)

// Failure describes a failure by the few error types whose text holds nothing but host
// names, addresses and certificates.
func Failure(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "it does not speak TLS"
	}
	if verification, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return printable(verification.Err.Error()) // it quotes the certificate
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return printable("lookup " + dns.Name + ": " + whyNoAddress(dns))
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		bare := *op
		bare.Source = nil // its port is another each time
		return printable(bare.Error())
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return "no answer in time"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the connection was closed before the answer ended"
	}
	return "the exchange broke off"
}

// whyNoAddress is without the resolver's own words: they hold a port, another each time.
func whyNoAddress(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return "no such host"
	case err.IsTimeout:
		return "no answer in time"
	}
	return "the resolver failed"
}

// maxText bounds what others may say in our texts, in bytes.
const maxText = 300

// printable is a text that others had a say in, fit for a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), maxText)], "")
}
