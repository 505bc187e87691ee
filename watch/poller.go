package watch

import (
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// poller decides which secrets are read when, and when what was read is news that
// may be delivered. It knows no clock and reads nothing: run drives it with the
// real ones, the simulation of a fleet with its own.
type poller struct {
	state   state
	gather  gather
	reads   []read // one for each secret
	queue   []int  // secrets whose read waits for a slot
	slots   int    // reads that may begin
	chances func() float64
}

// read is what is under way with one secret.
type read struct {
	wanted bool // queued, or being read
	sent   bool // being read
	again  bool // to be read once more afterwards: what is under way began too early
	early  bool // it was not due
}

// newPoller makes the poller of secrets with these dates of rotation. Of its reads
// at most concurrency are under way at once.
func newPoller(now time.Time, settings config.Watch, concurrency int, rotations []time.Time, random func() float64) *poller {
	return &poller{
		state: begin(now, settings, rotations, random), reads: make([]read, len(rotations)), slots: concurrency, chances: random,
	}
}

// turn lists the reads to begin now. Unless one of them ends before, turn is to be
// called again after wait; never, if that is less than 0.
func (p *poller) turn(now time.Time) (begin []int, wait time.Duration) {
	due, _ := next(now, p.state)
	for _, i := range due {
		p.want(i, false)
	}
	var readAll bool
	if p.gather, readAll = p.gather.next(now, p.state.settings, len(p.reads)); readAll {
		p.wantMissing()
	}
	n := min(p.slots, len(p.queue))
	begin, p.queue = p.queue[:n:n], p.queue[n:]
	p.slots -= n
	for _, i := range begin {
		p.reads[i].sent = true
	}
	_, wait = next(now, p.state)
	if until := p.gather.until(); !until.IsZero() && (wait < 0 || until.Sub(now) < wait) {
		wait = max(until.Sub(now), 0)
	}
	return begin, wait
}

// poke wants everything to be read from now on.
func (p *poller) poke(now time.Time) {
	p.gather = p.gather.poke(now, p.state.settings, len(p.reads))
	p.wantMissing()
}

// ended takes note of a read of secret i.
func (p *poller) ended(now time.Time, i int, how reading) {
	was := p.reads[i]
	how.early = was.early
	p.reads[i] = read{}
	p.slots++
	p.state = p.state.after(now, i, how, p.chances)
	if how.changed {
		var readOthers bool
		if p.gather, readOthers = p.gather.changed(now, p.state.settings, i, len(p.reads), how.early); readOthers {
			p.wantMissing()
		}
	}
	if was.again {
		p.want(i, true)
		return
	}
	delete(p.gather.missing, i)
}

// ready tells whether what was read so far may be delivered.
func (p *poller) ready() bool { return p.gather.done() }

// delivered begins anew: the next change has all of debounce_max.
func (p *poller) delivered() { p.gather = gather{} }

// want queues a read. An early one wants an answer to a question that is asked from
// now on: the answer to one that was asked before won't do.
func (p *poller) want(i int, early bool) {
	read := &p.reads[i]
	if read.wanted {
		read.again = read.again || early && read.sent
		return
	}
	read.wanted, read.early = true, early
	p.state = p.state.begun(i)
	p.queue = append(p.queue, i)
}

// wantMissing queues the reads that the delivery of news waits for.
func (p *poller) wantMissing() {
	for i := range p.reads {
		if p.gather.missing[i] {
			p.want(i, true)
		}
	}
}
