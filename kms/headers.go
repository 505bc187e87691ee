package kms

import (
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// longestPause bounds what an answer may ask us to wait: a wrong header must not
// stop the polling for a day.
const longestPause = time.Minute

// timeLeft is how the gateway says when a flow control window ends, in milliseconds.
var timeLeft = regexp.MustCompile(`TimeLeft:([0-9]{1,9})`)

// remains matches a window with something left in it.
var remains = regexp.MustCompile(`Remain:0*[1-9]`)

// heed takes what the answer's header says of a failure.
func (e *Error) heed(header http.Header) {
	e.wait, e.ahead = pause(header, e.Kind == Throttled), ahead(header, time.Now())
}

// pause is how long an answer asks its client to wait before the next try. The flow
// control windows are in every answer, and matter where one is full.
func pause(header http.Header, throttled bool) time.Duration {
	var longest time.Duration
	if seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 32); err == nil {
		longest = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header.Get("Retry-After")); err == nil {
		longest = time.Until(at)
	}
	for _, name := range []string{"X-Ratelimit-User-Api", "X-Ratelimit-User"} {
		if !throttled || remains.MatchString(header.Get(name)) {
			continue
		}
		if m := timeLeft.FindStringSubmatch(header.Get(name)); m != nil {
			ms, _ := strconv.Atoi(m[1]) // nine digits
			longest = max(longest, time.Duration(ms)*time.Millisecond)
		}
	}
	return min(max(longest, 0), longestPause)
}

// ahead is how far this machine's clock is ahead of the answer's, as far as a Date
// in whole seconds can tell.
func ahead(header http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	return now.Sub(date).Round(time.Second)
}
