package kms

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

// The pauses between tries grow to the longest from a first one that a passing
// fault may well be over in.
const (
	shortestBackoff = 200 * time.Millisecond
	longestBackoff  = 5 * time.Second
)

// pollTries bounds the tries of one poll: the next poll comes anyway.
const pollTries = 3

// GetPatiently is Get, tried again after an outage with growing, jittered pauses
// until patience ends; a call that is under way then still goes on until ctx
// ends. Any other failure is returned at once. The error is the last *Error.
func (c *Client) GetPatiently(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
	var before error
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
		select {
		case <-time.After(backoff(try, e.wait, rand.N[time.Duration])):
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
		if !failed || !e.Outage() || try == pollTries || e.wait > longestBackoff {
			return value, err
		}
		pause := backoff(try-1, e.wait, rand.N[time.Duration])
		if e.Kind == Throttled {
			// The quota is the whole account's: one more try, later, and none while it lasts.
			if c.throttled.Swap(true) {
				return value, err
			}
			pause += time.Second
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return value, err
		}
	}
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

// backoff is the pause after a try: anything up to a limit that doubles each time
// (full jitter: a fleet that failed together must not come back together), and no
// less than the answer asked for.
func backoff(try int, asked time.Duration, random func(time.Duration) time.Duration) time.Duration {
	limit := longestBackoff
	if try < 5 {
		limit = min(limit, shortestBackoff<<try)
	}
	return asked + random(limit)
}
