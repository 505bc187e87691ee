package emulator

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// ServeHTTP answers one call of the API: GET or POST of "/", parameters in the query or in a form body of up to 1 MiB.
// Every answer is one JSON document in one write.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, status := newRequestID(), http.StatusOK
	reply, err := e.answer(w, r, id)
	if err != nil {
		f := asFault(err)
		status, reply = f.status, f.body(id, r.Host)
	}
	write(w, status, reply)
}

// answer goes the way of a request through the gateway: which API is it, who calls, are the parameters there, may he. The
// API comes before the caller because it decides how the caller has to identify itself.
func (e *Emulator) answer(w http.ResponseWriter, r *http.Request, id string) (any, error) {
	req, err := readRequest(w, r)
	if err != nil {
		return nil, err
	}
	op, err := req.operation()
	if err != nil {
		return nil, err
	}
	caller, err := e.authenticate(req, op)
	if err != nil {
		return nil, err
	}
	return e.perform(op, caller, e.accounts.subject(op.name, caller, req.params), req, id)
}

// write sends the whole answer at once, so that no client sees half of it. The JSON is not HTML-escaped: values hold
// '&' and '<' as they were stored.
func write(w http.ResponseWriter, status int, reply any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(reply); err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	text := bytes.TrimSuffix(body.Bytes(), []byte("\n"))
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone away is not our fault, and there is nobody left to tell
}

// newRequestID returns a random UUID (version 4), in lower case as the sample answers have it.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
