package kms

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kmsrun/kmsrun/secret"
)

// GetPatiently is Get, tried again after an outage with growing, jittered pauses
// until patience ends; a call that is under way then still goes on until ctx
// ends. Any other failure is returned at once. The error is the last *Error.
func (c *Client) GetPatiently(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval = 200 * time.Millisecond
	pauses.RandomizationFactor = 0.5
	pauses.MaxInterval = 5 * time.Second
	for {
		value, err := c.Get(ctx, id)
		e, failed := errors.AsType[*Error](err)
		if !failed || !e.Outage() {
			return value, err
		}
		select {
		case <-time.After(pauses.NextBackOff()):
		case <-patience.Done():
			return value, err
		case <-ctx.Done(): // patience need not be a child of ctx
			return value, err
		}
	}
}
