package watch

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

// run is a watcher at work. Its fields belong to the goroutine of loop; each read
// has a goroutine of its own, so that one that hangs holds up nobody else.
type run struct {
	*Watcher
	ctx     context.Context
	state   state
	latest  secret.Snapshot
	have    secret.Snapshot // what the receiver has
	gather  gather          // companions of a change
	reads   []read          // one for each secret
	queue   []int           // secrets whose read waits for a slot
	running int             // reads that have a slot
	results chan result
	readers sync.WaitGroup
}

// read is what is under way with one secret.
type read struct {
	wanted bool // queued, or being read
	sent   bool // being read
	again  bool // to be read once more afterwards: what is under way began too early
	early  bool // it was not due
	tried  time.Time
	good   time.Time
	failed string // why the last one did; empty when it did not
}

// result is a read that has ended.
type result struct {
	index int
	value secret.Value
	err   error
}

func newRun(ctx context.Context, w *Watcher, have secret.Snapshot) *run {
	now := time.Now()
	r := &run{Watcher: w, ctx: ctx, latest: have, have: have, reads: make([]read, len(w.ids)), results: make(chan result)}
	rotations := make([]time.Time, len(w.ids))
	for i, id := range w.ids {
		if value, ok := have.Get(id); ok {
			rotations[i] = value.NextRotation
			r.reads[i].tried, r.reads[i].good = now, now
		}
	}
	r.state = begin(now, w.settings, rotations, rand.Float64)
	return r
}

func (r *run) loop(updates chan<- secret.Snapshot) {
	defer r.readers.Wait()
	timer := time.NewTimer(0)
	for {
		r.startDue()
		select {
		case <-r.pokes: // before reads start that would be too early for it
			r.poked()
		default:
		}
		r.settle()
		r.startQueued()
		r.report()
		if _, wait := next(time.Now(), r.state); wait >= 0 {
			timer.Reset(wait)
		}
		var out chan<- secret.Snapshot // nil, and so never ready, unless latest is news
		if r.gather.done() && len(r.latest.Changed(r.have)) > 0 {
			out = updates
		}
		select {
		case <-r.ctx.Done():
			return
		case out <- r.latest:
			r.have, r.gather = r.latest, gather{}
		case <-r.gather.wait:
			r.gather.wait = nil
		case <-r.gather.hurry:
			r.gather = r.gather.hurried()
		case <-r.pokes:
			r.poked()
		case got := <-r.results:
			if r.ctx.Err() != nil {
				return // on the way out: these failures are our own
			}
			r.ended(got)
		case <-timer.C:
		}
	}
}

func (r *run) poked() {
	r.gather = r.gather.poke(time.Now(), r.settings, len(r.ids))
	r.wantMissing()
}

// startDue queues what is due.
func (r *run) startDue() {
	due, _ := next(time.Now(), r.state)
	for _, i := range due {
		r.want(i, false)
	}
}

// want queues a read. An early one wants an answer to a question that is asked from
// now on: the answer to one that was asked before won't do.
func (r *run) want(i int, early bool) {
	read := &r.reads[i]
	if read.wanted {
		read.again = read.again || early && read.sent
		return
	}
	read.wanted, read.early = true, early
	r.state = r.state.begun(i)
	r.queue = append(r.queue, i)
}

// wantMissing queues a read of every secret that the delivery of news waits for.
func (r *run) wantMissing() {
	for i := range r.ids {
		if r.gather.missing[i] {
			r.want(i, true)
		}
	}
}

func (r *run) startQueued() {
	for len(r.queue) > 0 && r.running < r.concurrency {
		i := r.queue[0]
		r.queue = r.queue[1:]
		r.running++
		r.reads[i].sent = true
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
	i, now := got.index, time.Now()
	id, read := r.ids[i], &r.reads[i]
	before, _ := r.latest.Get(id)
	how := reading{outcome: outcomeOf(got.err), early: read.early, rotation: before.NextRotation}
	read.tried, read.failed = now, ""
	if got.err != nil {
		read.failed = reason(got.err)
		r.trouble.failed(id, got.err)
	} else {
		read.good = now
		r.trouble.read(id)
		r.metrics.SecretRead(id.Label(), id.Stage, now)
		how.changed, how.rotation = !got.value.Same(before), got.value.NextRotation
		r.latest = r.latest.With(id, got.value)
	}
	r.trouble.roundEnded()
	r.running--
	again := read.again
	read.wanted, read.sent, read.again = false, false, false
	r.state = r.state.after(now, i, how, rand.Float64)
	if how.changed {
		var readOthers bool
		if r.gather, readOthers = r.gather.changed(now, r.settings, i, len(r.ids), how.early); readOthers {
			r.wantMissing()
		}
	}
	if again {
		r.want(i, true)
		return
	}
	delete(r.gather.missing, i)
}

// settle goes on with the gathering of companions, once its present step is over.
func (r *run) settle() {
	var readAll bool
	r.gather, readAll = r.gather.next(time.Now(), r.settings, len(r.ids))
	if readAll {
		r.wantMissing()
	}
	if r.gather.done() && len(r.latest.Changed(r.have)) == 0 {
		r.gather = gather{} // undone: the next change has all of debounce_max
	}
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
