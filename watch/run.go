package watch

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

// run is a watcher at work. Its fields belong to the goroutine of loop; each read
// has a goroutine of its own, so that one that hangs holds up nobody else.
type run struct {
	*Watcher
	ctx     context.Context
	poller  *poller
	latest  secret.Snapshot
	have    secret.Snapshot // what the receiver has
	polls   []poll          // the last of each secret
	results chan result
	readers sync.WaitGroup
}

// poll is how reads of one secret went.
type poll struct {
	last, good time.Time
	failed     string // why the last one did; empty when it did not
}

// result is a read that has ended.
type result struct {
	index int
	value secret.Value
	err   error
}

func newRun(ctx context.Context, w *Watcher, have secret.Snapshot) *run {
	now := time.Now()
	r := &run{Watcher: w, ctx: ctx, latest: have, have: have, polls: make([]poll, len(w.ids)), results: make(chan result)}
	rotations := make([]time.Time, len(w.ids))
	for i, id := range w.ids {
		if value, ok := have.Get(id); ok {
			rotations[i] = value.NextRotation
			r.polls[i] = poll{last: now, good: now}
		}
	}
	r.poller = newPoller(now, w.settings, w.concurrency, rotations, rand.Float64)
	return r
}

func (r *run) loop(updates chan<- secret.Snapshot) {
	defer r.readers.Wait()
	r.publish()
	for {
		select {
		case <-r.pokes: // before reads start that would be too early for it
			r.poller.poke(time.Now())
		default:
		}
		var after <-chan time.Time
		begin, wait := r.poller.turn(time.Now())
		if wait >= 0 {
			after = time.After(wait)
		}
		r.read(begin)
		var out chan<- secret.Snapshot // nil, and so never ready, unless latest is news
		if r.poller.ready() {
			if len(r.latest.Changed(r.have)) == 0 {
				r.poller.delivered() // undone
				continue
			}
			out = updates
		}
		select {
		case <-r.ctx.Done():
			return
		case out <- r.latest:
			r.have = r.latest
			r.poller.delivered()
		case <-r.pokes:
			r.poller.poke(time.Now())
		case got := <-r.results:
			if r.ctx.Err() != nil {
				return // on the way out: these failures are our own
			}
			r.ended(got)
		case <-after:
		}
	}
}

// read begins to read these secrets.
func (r *run) read(indexes []int) {
	for _, i := range indexes {
		r.readers.Go(func() {
			value, err := r.fetch(r.ctx, r.ids[i])
			select {
			case r.results <- result{i, value, err}:
			case <-r.ctx.Done():
			}
		})
	}
}

// ended takes in what a read has brought.
func (r *run) ended(got result) {
	now, id := time.Now(), r.ids[got.index]
	r.polls = slices.Clone(r.polls)
	poll := &r.polls[got.index]
	before, _ := r.latest.Get(id)
	how := reading{outcome: outcomeOf(got.err), rotation: before.NextRotation}
	poll.last, poll.failed = now, ""
	switch {
	case before.Absent && Absent(got.err): // not there yet, and nobody must have it
		how.outcome = good
		r.trouble.read(id)
	case got.err != nil:
		poll.failed = reason(got.err)
		r.trouble.failed(id, got.err)
	default:
		poll.good = now
		r.trouble.read(id)
		how.changed, how.rotation = !got.value.Same(before), got.value.NextRotation
		r.latest = r.latest.With(id, got.value)
	}
	r.trouble.roundEnded()
	r.poller.ended(now, got.index, how)
	r.publish()
}

func outcomeOf(err error) outcome {
	f, ok := errors.AsType[Failure](err)
	switch {
	case err == nil:
		return good
	case ok && f.Throttled():
		return throttled
	case ok && f.Outage():
		return outage
	default:
		return refused
	}
}
