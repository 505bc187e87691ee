package kms

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

// The pauses between tries grow to the longest from a first one that a passing
// fault may well be over in.
const (
	shortestBackoff = 200 * time.Millisecond
	longestBackoff  = 5 * time.Second
	// backoffGrowth makes the longest pause about half of the time since the first
	// try: whoever waits for a quota waits half as long again at most.
	backoffGrowth = 1.25
)

// pollTries bounds the tries of one poll: the next poll comes anyway.
const pollTries = 3

// GetPatiently is Get, tried again after an outage with growing, jittered pauses
// until patience ends; a call that is under way then still goes on until ctx
// ends. Of the reads with one login that were throttled one at a time tries again,
// and when it got through the next does at once: a fleet that starts together asks
// for what it may have and not much more. Any other failure is returned at once.
// The error is the last *Error.
func (c *Client) GetPatiently(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
	var before error
	var turn *turn
	defer func() { turn.end() }()
	for try := 0; ; try++ {
		value, err := c.Get(ctx, id)
		e, failed := errors.AsType[*Error](err)
		if !failed || !e.Outage() {
			return value, err
		}
		if ctx.Err() != nil && before != nil {
			return value, before // it says more than that the time is up
		}
		before = err
		c.waitsFor.Store(e)
		pause := Backoff(try, e.wait, rand.N[time.Duration])
		if e.Kind == Throttled {
			var waited bool
			if turn, waited = c.takeTurn(turn, patience.Done(), ctx.Done(), id); turn == nil {
				return value, err
			}
			if pause = e.wait; !waited {
				pause = turn.pause(e.wait)
			}
		}
		select {
		case <-time.After(pause):
		case <-patience.Done():
			return value, err
		case <-ctx.Done(): // patience need not be a child of ctx
			return value, err
		}
	}
}

// Poll is Get, tried a few times: one throttled call among many is no outage yet.
func (c *Client) Poll(ctx context.Context, id secret.ID) (secret.Value, error) {
	for try := 1; ; try++ {
		value, err := c.Get(ctx, id)
		e, failed := errors.AsType[*Error](err)
		if !failed {
			c.throttled.Store(false)
		}
		if !failed || !e.Outage() {
			return value, err
		}
		lasting := e.Kind == Throttled && c.throttled.Swap(true)
		pause, again := PollPause(try, e.Kind, lasting, e.wait, rand.N[time.Duration])
		if !again {
			return value, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return value, err
		}
	}
}

// PollPause is the pause of a poll after a try, from 1, that met an outage of this
// kind; again is false when the poll is to fail instead. A quota is the whole
// account's: a throttled poll gets one more try, later, and none while the
// throttling lasts since an earlier poll.
func PollPause(try int, kind Kind, lasting bool, asked time.Duration, random func(time.Duration) time.Duration) (pause time.Duration, again bool) {
	if try == pollTries || asked > longestBackoff || lasting {
		return 0, false
	}
	pause = Backoff(try-1, asked, random)
	if kind == Throttled {
		pause += time.Second
	}
	return pause, true
}

// WaitsFor is the outage that GetPatiently met last, or the login that is under way;
// nil before either.
func (c *Client) WaitsFor() error {
	if e := c.waitsFor.Load(); e != nil {
		return e
	}
	for name, p := range c.profiles {
		if p.bridge.busy() {
			return errors.New("no answer yet to the login of auth profile " + name)
		}
	}
	return nil
}

// Backoff is the pause after a try, from 0, that met an outage: anything up to a limit that doubles each time
// (full jitter: a fleet that failed together must not come back together), and no
// less than the answer asked for.
func Backoff(try int, asked time.Duration, random func(time.Duration) time.Duration) time.Duration {
	limit := min(float64(shortestBackoff)*math.Pow(backoffGrowth, float64(try)), float64(longestBackoff))
	return asked + random(time.Duration(limit))
}
