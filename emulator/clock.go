package emulator

import (
	"errors"
	"sync"
	"time"
)

// maxAhead keeps times within what a duration and the API's formats can hold.
const maxAhead = 100 * 365 * 24 * time.Hour

var errClock = errors.New("the clock only goes forward, by at most 100 years in all")

// clock is the time of the state: delete windows, rotation, sessions, stored times. It runs like the real one, ahead of it
// by what tests have moved it. Timestamps and nonces of requests are held against the real one, since clients sign with
// theirs.
type clock struct {
	real func() time.Time

	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.real().Add(c.ahead)
}

// lead is how far it is ahead.
func (c *clock) lead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead
}

// begin is where a clock goes on that was moved before.
func (c *clock) begin(ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = ahead
}

// advance moves the clock forward only: rotation and deletion know no way back.
func (c *clock) advance(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d < 0 || d > maxAhead-c.ahead {
		return errClock
	}
	c.ahead += d
	return nil
}

// set moves the clock to t.
func (c *clock) set(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := t.Sub(c.real())
	if d < c.ahead || d > maxAhead {
		return errClock
	}
	c.ahead = d
	return nil
}

// Advance moves the clock of the emulator's state by d: delete windows, rotations and sessions see the time pass. It only
// goes forward.
func (e *Emulator) Advance(d time.Duration) error {
	return e.commit(func() error { return e.clock.advance(d) })
}
