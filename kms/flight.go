package kms

import (
	"context"
	"sync"

	"github.com/kmsrun/kmsrun/secret"
)

// flights lets callers who want the same thing at the same time share one fetch. It
// is not x/sync/singleflight, because a fetch here ends when the last of its callers
// has left, and not with the one who came first.
type flights struct {
	mu    sync.Mutex
	under map[secret.ID]*flight
}

type flight struct {
	waiters int
	cancel  context.CancelFunc
	landed  chan struct{}
	value   secret.Value
	err     *Error
}

func (f *flights) do(ctx context.Context, id secret.ID, fetch func(context.Context, secret.ID) (secret.Value, *Error)) (secret.Value, *Error) {
	mine := f.board(ctx, id, fetch)
	select {
	case <-mine.landed:
	case <-ctx.Done():
		cancelled := &Error{Kind: Unavailable, detail: transportDetail(ctx, ctx.Err())}
		if !f.leave(id, mine) {
			return secret.Value{}, cancelled
		}
		<-mine.landed // soon, since it was cancelled: nothing of it is to outlive its callers
		if mine.err != nil && mine.err.Kind == Unavailable {
			cancelled.step, cancelled.Region, cancelled.advice = mine.err.step, mine.err.Region, mine.err.advice
			return secret.Value{}, cancelled // whose words know of a deadline
		}
	}
	if mine.err != nil {
		e := *mine.err // each caller has his own
		return secret.Value{}, &e
	}
	return mine.value, nil
}

func (f *flights) board(ctx context.Context, id secret.ID, fetch func(context.Context, secret.ID) (secret.Value, *Error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if shared, ok := f.under[id]; ok {
		shared.waiters++
		return shared
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	mine := &flight{waiters: 1, cancel: cancel, landed: make(chan struct{})}
	if f.under == nil {
		f.under = map[secret.ID]*flight{}
	}
	f.under[id] = mine
	go func() {
		defer cancel()
		mine.value, mine.err = fetch(own, id)
		f.end(id, mine)
		close(mine.landed)
	}()
	return mine
}

// leave tells whether nobody waits any more. The flight is then cancelled, and
// whoever comes after gets another.
func (f *flights) leave(id secret.ID, mine *flight) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if mine.waiters--; mine.waiters > 0 {
		return false
	}
	f.forget(id, mine)
	mine.cancel()
	return true
}

func (f *flights) end(id secret.ID, mine *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(id, mine)
}

func (f *flights) forget(id secret.ID, mine *flight) {
	if f.under[id] == mine {
		delete(f.under, id)
	}
}
