package kms

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// source goes and gets credentials, once.
type source func(context.Context) (Credentials, *Error)

// loginTimeout bounds one login, which may take a few exchanges.
const loginTimeout = 10 * time.Second

// A session is renewed when a third of its life is left, or this much of a long one.
const longestLead = 5 * time.Minute

// After a failed login nobody tries again for a second, then two, up to these, or as
// long as the answer asked for: many workers that wait must not ask one after the
// other, and what was refused is hardly granted the next second.
const (
	longestRest        = 4 * time.Second
	longestRefusalRest = 32 * time.Second
)

// betweenReplacements is how soon a session that was refused is replaced again: where
// a fresh one is refused too, every secret would ask for one of its own.
const betweenReplacements = 5 * time.Second

// bridge is one profile's way from a source to the calls: one login at a time, the
// last good pair kept while it is valid, and renewed ahead of its end.
type bridge struct {
	source source
	tell   func(Credentials) // told of the first success, and of another identity

	turn     chan struct{} // of one: whose turn it is to log in; what follows is his
	failed   *Error
	rest     time.Time // until which failed counts
	misses   int
	replaced time.Time // when a refused session was last replaced

	last   atomic.Pointer[session]
	opened chan struct{} // closed at the first success
	once   sync.Once
}

// session is credentials with their times by our own clock.
type session struct {
	keys  Credentials
	renew time.Time // from when on there should be new ones; zero: never
	end   time.Time // from when on they are not used
}

func newBridge(ask source, tell func(Credentials)) *bridge {
	return &bridge{source: ask, tell: tell, turn: make(chan struct{}, 1), opened: make(chan struct{})}
}

func newSession(keys Credentials, now time.Time) *session {
	s := &session{keys: keys}
	if keys.reread > 0 {
		s.renew = now.Add(keys.reread)
	}
	if !keys.expires.IsZero() {
		life := keys.expires.Sub(now)
		s.renew = keys.expires.Add(-min(life/3, longestLead))
		s.end = keys.expires.Add(-min(life/10, 10*time.Second)) // a call takes a while to arrive
	}
	return s
}

func (s *session) fresh(now time.Time) bool {
	return s != nil && (s.renew.IsZero() || now.Before(s.renew))
}

func (s *session) valid(now time.Time) bool { return s != nil && (s.end.IsZero() || now.Before(s.end)) }

// get is the credentials to sign with now. It waits for a login only without valid
// ones.
func (b *bridge) get(ctx context.Context) (Credentials, *Error) {
	have := b.last.Load()
	if have.fresh(time.Now()) {
		return have.keys, nil
	}
	if have.valid(time.Now()) && !have.end.IsZero() {
		b.renew(ctx)
		return have.keys, nil
	}
	if err := b.wait(ctx); err != nil {
		return Credentials{}, err
	}
	defer func() { <-b.turn }()
	return b.login(ctx, nil)
}

// renew logs in beside the calls, unless somebody is at it: a source that hangs must
// not hold up those who have a session. It ends within loginTimeout.
func (b *bridge) renew(ctx context.Context) {
	select {
	case b.turn <- struct{}{}:
		go func() {
			defer func() { <-b.turn }()
			_, _ = b.login(context.WithoutCancel(ctx), nil) // a failure is told by the call that it fails
		}()
	default:
	}
}

// replace is get after credentials were refused as expired.
func (b *bridge) replace(ctx context.Context, refused Credentials) (Credentials, *Error) {
	if err := b.wait(ctx); err != nil {
		return Credentials{}, err
	}
	defer func() { <-b.turn }()
	return b.login(ctx, &refused)
}

func (b *bridge) wait(ctx context.Context) *Error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &Error{Kind: Unavailable, detail: transportDetail(ctx, ctx.Err())}
	}
}

// login is called by whose turn it is.
func (b *bridge) login(ctx context.Context, refused *Credentials) (Credentials, *Error) {
	now, have := time.Now(), b.last.Load()
	if have != nil && refused != nil && have.keys.same(*refused) {
		if now.Sub(b.replaced) < betweenReplacements && have.keys.reread == 0 {
			return have.keys, nil
		}
		have, b.replaced = nil, now
	}
	if have.fresh(now) {
		return have.keys, nil
	}
	err := b.failed
	if err == nil || now.After(b.rest) {
		var keys Credentials
		if keys, err = b.ask(ctx); err == nil {
			b.succeed(keys)
			return keys, nil
		}
		if ctx.Err() == nil { // else it is our own doing
			longest := longestRefusalRest
			if err.Outage() {
				longest = longestRest
			}
			b.failed, b.rest = err, time.Now().Add(max(err.wait, min(time.Second<<b.misses, longest)))
			b.misses = min(b.misses+1, 5)
		}
	}
	if have.valid(time.Now()) {
		return have.keys, nil
	}
	e := *err
	return Credentials{}, &e
}

func (b *bridge) succeed(keys Credentials) {
	before := b.last.Swap(newSession(keys, time.Now()))
	b.failed, b.misses = nil, 0
	if before == nil || before.keys.what != keys.what {
		b.tell(keys)
	}
	b.once.Do(func() { close(b.opened) })
}

// ask asks the source, which must not take the process along.
func (b *bridge) ask(ctx context.Context) (keys Credentials, err *Error) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil { // the type only: the value may hold a body
			keys, err = Credentials{}, &Error{Kind: Invalid, step: "logging in", detail: fmt.Sprintf("a panic: %T", r)}
		}
	}()
	return b.source(ctx)
}

// keep renews sessions ahead of their end, from the first login on until ctx ends.
func (b *bridge) keep(ctx context.Context) {
	select {
	case <-b.opened:
	case <-ctx.Done():
		return
	}
	for {
		have := b.last.Load()
		if have.end.IsZero() {
			return // an access key: nothing ends while nobody asks
		}
		timer := time.NewTimer(max(time.Until(have.renew), b.rests(ctx), 100*time.Millisecond))
		select {
		case <-timer.C:
			_, _ = b.get(ctx) // which renews beside the calls
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// rests is how long nobody tries again after a failure.
func (b *bridge) rests(ctx context.Context) time.Duration {
	if b.wait(ctx) != nil {
		return 0
	}
	defer func() { <-b.turn }()
	return time.Until(b.rest)
}

// busy tells whether somebody logs in.
func (b *bridge) busy() bool { return len(b.turn) > 0 }
