//go:build !linux

package systemd

import (
	"context"
	"errors"
)

// Relay does not exist where there is no systemd.
type Relay struct{}

// Listen opens none.
func Listen(...uint32) (*Relay, error) {
	return nil, errors.New("there is no systemd on this platform")
}

// Address is nothing's.
func (r *Relay) Address() string { return "" }

// Messages gets none.
func (r *Relay) Messages() <-chan Message { return nil }

// Close has nothing to return.
func (r *Relay) Close() []Message { return nil }

// Notifies knows of nobody who does.
func Notifies(context.Context, int) bool { return false }
