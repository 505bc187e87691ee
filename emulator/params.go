package emulator

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

const maxBody = 1 << 20

// params are request parameters by name. A parameter that is absent and one that is empty are the same: clients send
// empty ones for what their caller left out.
type params map[string]string

// request is what a call says, before anybody has believed it.
type request struct {
	method, host string
	remote       string // address of the caller
	secure       bool   // over TLS
	header       http.Header
	query        params
	params       params // query and form together
	body         []byte
}

func readRequest(w http.ResponseWriter, r *http.Request) (*request, error) {
	if r.URL.Path != "/" {
		return nil, errUnknownAction
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil, errUnsupportedMethod
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errBodyTooLarge
	}
	if err != nil {
		return nil, errUnparsable
	}
	req := &request{
		method: r.Method, host: r.Host, remote: r.RemoteAddr, secure: r.TLS != nil,
		header: r.Header, query: params{}, params: params{}, body: body,
	}
	if err := req.query.add(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if err := req.params.add(r.URL.RawQuery); err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return req, nil
	}
	// A body of another type would be covered by no V1 signature and be ignored: refuse it.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, errUnparsable
	}
	return req, req.params.add(string(body))
}

// add reads a query or form. A repeated parameter is accepted only with the same value: a client signs one of them, and
// nobody should have to guess which (not documented). Everything is UTF-8.
func (p params) add(encoded string) error {
	values, err := url.ParseQuery(encoded)
	if err != nil {
		return errUnparsable
	}
	for name, all := range values {
		for _, value := range all {
			if have, ok := p[name]; ok && have != value || !utf8.ValidString(name) || !utf8.ValidString(value) {
				return errUnparsable
			}
			p[name] = value
		}
	}
	return nil
}

// boolean reads "true" or "false" in any case; absent is false.
func (p params) boolean(name string) (bool, error) {
	switch strings.ToLower(p[name]) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, invalid(name)
}

// integer reads a decimal number between low and high; absent is def.
func (p params) integer(name string, def, low, high int) (int, error) {
	if p[name] == "" {
		return def, nil
	}
	n, err := strconv.Atoi(p[name])
	if err != nil || n < low || n > high {
		return 0, invalid(name)
	}
	return n, nil
}
