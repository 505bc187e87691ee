package emulator

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// ServeHTTP answers one call of the API: GET or POST of "/", parameters in the query or in a form body of up to 1 MiB.
// Every answer is one document, JSON or XML, handed to the connection whole. Other paths are what else a program may find around KMS.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, controlPath):
		e.serveControl(w, r)
	case strings.HasPrefix(r.URL.Path, credentialsPath):
		if guard(w, r) {
			e.serveCredentials(w, r)
		}
	case strings.HasPrefix(r.URL.Path, metadataPath) && e.ecsRole != "":
		if guard(w, r) {
			e.serveMetadata(w, r)
		}
	default:
		e.serveAPI(w, r)
	}
}

// serveAPI answers, and writes down what it answered.
func (e *Emulator) serveAPI(w http.ResponseWriter, r *http.Request) {
	id, x := newRequestID(), Request{Time: e.clock.now().UTC()}
	defer func() { e.journal.add(x) }() // also when a fault ends the call without an answer
	var (
		reply  any
		raw    *rawAnswer
		format string
	)
	req, err := readRequest(w, r)
	if err == nil {
		format = req.format()
		reply, raw, err = e.answer(r.Context(), req, id, &x)
	}
	if raw != nil {
		x.Status = raw.status
		raw.write(w)
		return
	}
	status := http.StatusOK
	if err != nil {
		f := asFault(err).worded(x.Action)
		status, x.Code, reply = f.status, f.code, f.body(id, r.Host)
	}
	x.Status = status
	if x.Fault != kindReset && x.Fault != kindTruncate && x.Fault != kindContentType {
		write(w, status, format, reply)
		return
	}
	whole := captured{header: http.Header{}}
	write(&whole, status, format, reply)
	whole.deliver(w, x.Fault)
}

// answer goes the way of a request through the gateway: which API is it, who calls, has he calls left, are the parameters
// there, may he. The API comes before the caller because it decides how the caller has to identify itself.
func (e *Emulator) answer(ctx context.Context, req *request, id string, x *Request) (any, *rawAnswer, error) {
	op, err := req.operation()
	if err != nil {
		return nil, nil, err
	}
	x.Action = op.name
	caller, err := e.authenticate(req, op)
	if err != nil {
		return nil, nil, err
	}
	about := e.subject(op, caller, req.params)
	if !op.unsigned { // of somebody who has not been believed nothing is written down
		x.know(caller, about)
	}
	if e.quota != nil && op.sts == nil && !e.quota.take(caller.account, op.name, e.clock.now()) {
		return nil, nil, errThrottled
	}
	if f, ok := e.faults.strike(op.name, about.secret); ok {
		x.Fault = f.Kind
		f.before(ctx)
		if raw, ok := rawAnswers[f.Kind]; ok {
			return nil, &raw, nil
		}
		if refusal, ok := refusals[f.Kind]; ok {
			return nil, nil, refusal
		}
	}
	reply, err := e.perform(op, caller, about, req, id)
	return reply, nil, err
}

// subject is what the request is about: a resource of KMS, or the role to be taken on.
func (e *Emulator) subject(op operation, caller identity, p params) subject {
	if op.sts != nil {
		return subject{account: caller.account, resource: cmp.Or(p["RoleArn"], "*")}
	}
	return e.accounts.subject(op.name, caller, p)
}

// arn is what the journal takes for a name, and not for something else that went astray.
// (Lengths are not in patterns here: compiling such repetitions takes ten milliseconds of every start of kmsrun.)
var arn = regexp.MustCompile(`^acs:(kms:[a-z0-9-]+|ram:):[0-9]+:[A-Za-z0-9_/+=.@-]+$`)

const maxARN = 320

// know writes down who called about what, now that he has been believed.
func (x *Request) know(caller identity, about subject) {
	if caller.kind != "" {
		x.Caller, x.AccessKeyID = caller.arn(), caller.keyID
	}
	if validName(about.secret) {
		x.Secret = about.secret
	}
	if len(about.resource) <= maxARN && arn.MatchString(about.resource) {
		x.Resource = about.resource
	}
}

// newRequestID returns a random UUID (version 4), in lower case as the sample answers have it.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: the runtime ends the program instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
