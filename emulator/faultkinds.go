package emulator

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The faults that lie in how an answer is delivered, in front of or around the call, which is carried out: a write whose
// answer gets lost has happened, as in life. A hang is the exception, since nobody waits for its end.
const (
	kindLatency     = "latency"
	kindHang        = "hang"
	kindReset       = "reset"
	kindTruncate    = "truncate"
	kindContentType = "content-type"
)

var deliveries = []string{kindLatency, kindHang, kindReset, kindTruncate, kindContentType}

// refusals are the faults that are an error of the API; the call is not carried out.
var refusals = map[string]*fault{
	"throttle":      errThrottled,
	"throttle-user": errThrottledUser,
	"throttle-api":  errThrottledAPI,
	"unavailable":   errUnavailable,
	"internal":      errInternal,
	"denied":        errDenied,
	"not-found":     errNotFound,
	"expired-token": errTokenExpired,
	"clock-skew":    errTimestampExpired,
}

// rawAnswer is something that is no answer of the API at all, as proxies and portals give; the call is not carried out.
type rawAnswer struct {
	status     int
	kind, body string
	location   string
	filled     int // size in bytes to fill a JSON body up to; made when it is wanted, not at every start of kmsrun
}

const oversize = 2 << 20

var rawAnswers = map[string]rawAnswer{
	"html":         {status: http.StatusOK, kind: "text/html; charset=utf-8", body: "<!DOCTYPE html><title>Sign in</title><p>Please sign in to the network."},
	"redirect":     {status: http.StatusFound, kind: "text/html; charset=utf-8", body: "<a href=\"/elsewhere\">Found</a>.", location: "/elsewhere"},
	"no-content":   {status: http.StatusNoContent},
	"empty":        {status: http.StatusOK, kind: jsonType, body: "{}"},
	"oversize":     {status: http.StatusOK, kind: jsonType, body: `{"SecretData":"`, filled: oversize},
	"numeric-code": {status: http.StatusBadRequest, kind: jsonType, body: `{"Code":400,"Message":"a code that is no text","RequestId":7}`},
}

const jsonType = "application/json;charset=utf-8"

func (a rawAnswer) write(w http.ResponseWriter) {
	if a.filled > 0 {
		a.body += strings.Repeat("x", a.filled-len(a.body)-len(`"}`)) + `"}`
	}
	if a.kind != "" {
		w.Header().Set("Content-Type", a.kind)
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	w.WriteHeader(a.status)
	if a.body != "" {
		_, _ = w.Write([]byte(a.body)) // a client that has gone away is not our fault
	}
}

// before is what a fault does ahead of the call: take time.
func (f Fault) before(ctx context.Context) {
	switch f.Kind {
	case kindLatency:
		timer := time.NewTimer(time.Duration(f.Duration))
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	case kindHang: // until the client gives up
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	}
}
