package emulator

import (
	"crypto/rand"
	"fmt"
	"net/http"
)

const apiVersion = "2016-01-20"

// ServeHTTP answers one call of the API: GET or POST of "/", parameters in the query or in a form body of up to 1 MiB.
// Every answer is one document, JSON or XML, in one write.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, status, format := newRequestID(), http.StatusOK, ""
	var reply any
	req, err := readRequest(w, r)
	if err == nil {
		format = req.params["Format"]
		reply, err = e.answer(req, id)
	}
	if err != nil {
		f := asFault(err)
		status, reply = f.status, f.body(id, r.Host)
	}
	write(w, status, format, reply)
}

// answer goes the way of a request through the gateway: which API is it, who calls, are the parameters there. The API
// comes before the caller because it decides how the caller has to identify itself.
func (e *Emulator) answer(req *request, id string) (any, error) {
	act, err := req.action()
	if err != nil {
		return nil, err
	}
	if err := e.authenticate(req, act); err != nil {
		return nil, err
	}
	if err := act.check(req.params); err != nil {
		return nil, err
	}
	return act.run(call{store: e.store, requestID: id, params: req.params})
}

// newRequestID returns a random UUID (version 4), in lower case as the sample answers have it.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
