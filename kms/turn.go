package kms

import (
	"math/rand/v2"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

// turn is the right to try again after a throttled read.
type turn struct {
	from chan int // where the next one takes it
	try  int      // pauses made by all who had it
}

// takeTurn waits for the turn of the login of id, unless mine is one already. waited
// is whether somebody else had it, and has got through; nil means given up.
func (c *Client) takeTurn(mine *turn, patience, ended <-chan struct{}, id secret.ID) (taken *turn, waited bool) {
	if mine != nil {
		return mine, false
	}
	from := c.profiles[profileName(id)].retry
	select {
	case try := <-from:
		return &turn{from, try}, false
	default:
	}
	select {
	case try := <-from:
		return &turn{from, try}, true
	case <-patience:
	case <-ended:
	}
	return nil, false
}

// pause is how long to wait before the next try.
func (t *turn) pause(asked time.Duration) time.Duration {
	pause := Backoff(t.try, asked, rand.N[time.Duration])
	t.try++
	return pause
}

// end hands a turn on.
func (t *turn) end() {
	if t != nil {
		t.from <- t.try
	}
}
