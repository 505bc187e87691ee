package watch

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/kms"
)

// The simulation of a fleet: the schedule and the pauses of the client as they are,
// driven by a list of events instead of clocks and goroutines. (That the tests of
// this package know kms makes no arrow: the package does not.)

// fleet is what is simulated.
type fleet struct {
	processes, secrets int  // secrets of each process
	shared             bool // all processes have the same secrets
	settings           config.Watch
	dates              bool          // the secrets are managed, and say when they rotate
	rotations          float64       // of one secret, per day
	last               time.Duration // from the common cold start on
	outages            []period      // KMS answers nothing
	crowded            []period      // others of the account use most of the quota
	measureFrom        time.Duration // latencies and gaps count from here on
	seed               uint64
}

type period struct{ from, to time.Duration }

func (p period) holds(at time.Duration) bool { return at >= p.from && at < p.to }

const (
	// quota is what KMS reads per second for one account and region (quota page).
	quota = 450
	// crowd is what others take of it while it is crowded.
	crowd = 400
	// latency is of a call, there and back.
	latency = 20 * time.Millisecond
	// lateness bounds how long after its date a rotation happens.
	lateness = 30 * time.Second
)

// epoch is when simulations begin.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// event is something that happens to a process.
type event struct {
	at      time.Duration // since epoch
	kind    eventKind
	process int32
	secret  int32 // of the process
	try     int32 // of a read; the generation of a wake
	outcome outcome
}

type eventKind uint8

const (
	eventCall   eventKind = iota // reaches KMS
	eventAnswer                  // reaches the process
	eventWake                    // the poller is to be asked
)

// process is one of the fleet.
type process struct {
	poller  *poller
	lasting bool // as in kms.Client: the last poll was throttled in vain
	left    int  // to read before the start
	next    int  // secret to read before the start
	turns   kmsTurn
	started time.Duration
	wake    int32 // the generation of the wake that counts
	good    []time.Duration
	gap     time.Duration
	reads   int // good ones, from measureFrom on
	seen    []int32
	news    []pending // read, and not delivered
}

// kmsTurn is the turn that throttled reads take before the start, as in kms.Client.
type kmsTurn struct {
	taken   bool
	secret  int32 // that has it
	try     int
	waiting []event
}

// pending is a rotation that a process has read and not acted upon.
type pending struct{ rotated time.Duration }

// vaultSecret is one secret on the side of KMS.
type vaultSecret struct {
	rotated []time.Duration // past and future
	dates   []time.Duration // that were announced for them
}

// version is how often it was rotated at a time.
func (v vaultSecret) version(at time.Duration) int32 {
	n, _ := slices.BinarySearch(v.rotated, at+1)
	return int32(n)
}

// simulation is a fleet at work.
type simulation struct {
	fleet
	random    *rand.Rand
	now       time.Duration
	events    events
	processes []process
	vault     []vaultSecret
	second    time.Duration // of the quota
	taken     int           // in it, by the fleet
	figures
}

// figures are what comes out.
type figures struct {
	accepted, throttled, failed int
	calls                       [][2]int32 // accepted and throttled, for each second
	most                        int        // accepted in one second
	starts, latencies, gaps     []time.Duration
	reads                       []int // good ones of each process
	missed                      int   // rotations that were never acted upon
}

func simulate(f fleet) figures {
	s := &simulation{fleet: f, random: rand.New(rand.NewPCG(f.seed, 1)), processes: make([]process, f.processes)}
	s.makeVault()
	for i := range s.processes {
		p := &s.processes[i]
		p.left, p.good, p.seen = f.secrets, make([]time.Duration, f.secrets), make([]int32, f.secrets)
		for range min(concurrency, f.secrets) {
			s.firstRead(int32(i))
		}
	}
	for s.events.len() > 0 && s.now < f.last {
		e := s.events.pop()
		s.now = e.at
		s.handle(e)
	}
	s.conclude()
	return s.figures
}

// concurrency is the default of kms.concurrency.
var concurrency = config.Default().KMS.Concurrency

func (s *simulation) makeVault() {
	n := s.secrets
	if !s.shared {
		n *= s.fleet.processes
	}
	s.vault = make([]vaultSecret, n)
	if s.rotations == 0 {
		return
	}
	every := time.Duration(float64(24*time.Hour) / s.rotations)
	for i := range s.vault {
		v := &s.vault[i]
		for at := s.upTo(every); at < s.last; at += every {
			late := s.upTo(lateness)
			v.dates, v.rotated = append(v.dates, at), append(v.rotated, at+late)
		}
	}
}

func (s *simulation) upTo(d time.Duration) time.Duration {
	return time.Duration(s.random.Float64() * float64(d))
}

func (s *simulation) of(process, secret int32) *vaultSecret {
	if s.shared {
		return &s.vault[secret]
	}
	return &s.vault[int(process)*s.secrets+int(secret)]
}

func (s *simulation) handle(e event) {
	p := &s.processes[e.process]
	switch {
	case e.kind == eventCall:
		e.at, e.kind, e.outcome = s.now+latency, eventAnswer, s.serve()
		s.events.push(e)
	case e.kind == eventAnswer && p.poller == nil:
		s.firstAnswer(p, e)
	case e.kind == eventAnswer:
		s.answer(p, e)
		s.turn(p, e.process)
	case e.try == p.wake:
		s.turn(p, e.process)
	}
}

// serve is how KMS answers a call that arrives now.
func (s *simulation) serve() outcome {
	if second := s.now.Truncate(time.Second); second != s.second {
		s.second, s.taken = second, 0
	}
	for len(s.calls) <= int(s.now/time.Second) {
		s.calls = append(s.calls, [2]int32{})
	}
	count := &s.calls[len(s.calls)-1]
	limit := quota
	if slices.ContainsFunc(s.crowded, func(p period) bool { return p.holds(s.now) }) {
		limit -= crowd
	}
	switch {
	case slices.ContainsFunc(s.outages, func(p period) bool { return p.holds(s.now) }):
		s.failed++
		return outage
	case s.taken >= limit:
		s.throttled++
		count[1]++
		return throttled
	}
	s.taken++
	s.accepted++
	count[0]++
	s.most = max(s.most, s.taken)
	return good
}

// firstRead begins to read the next secret before the start, as Resolve does.
func (s *simulation) firstRead(i int32) {
	p := &s.processes[i]
	if p.next < s.secrets {
		s.events.push(event{at: s.now, kind: eventCall, process: i, secret: int32(p.next)})
		p.next++
	}
}

// firstAnswer goes on as kms.Client.GetPatiently does.
func (s *simulation) firstAnswer(p *process, e event) {
	e.kind = eventCall
	mine := p.turns.taken && p.turns.secret == e.secret
	switch {
	case e.outcome == outage:
		e.at = s.now + kms.Backoff(int(e.try), 0, s.upTo)
		e.try++
		s.events.push(e)
		return
	case e.outcome == throttled && p.turns.taken && !mine:
		p.turns.waiting = append(p.turns.waiting, e)
		return
	case e.outcome == throttled:
		p.turns.taken, p.turns.secret = true, e.secret
		e.at = s.now + kms.Backoff(p.turns.try, 0, s.upTo)
		p.turns.try++
		s.events.push(e)
		return
	case mine && len(p.turns.waiting) > 0: // whoever has waited tries at once
		next := p.turns.waiting[0]
		p.turns.waiting = p.turns.waiting[1:]
		next.at, p.turns.secret = s.now, next.secret
		s.events.push(next)
	case mine:
		p.turns.taken = false
	}
	p.good[e.secret], p.seen[e.secret] = s.now, s.of(e.process, e.secret).version(s.now-latency/2)
	if p.left--; p.left > 0 {
		s.firstRead(e.process)
		return
	}
	p.started = s.now
	rotations := make([]time.Time, s.secrets)
	for k := range rotations {
		rotations[k] = s.announced(e.process, int32(k))
	}
	p.poller = newPoller(epoch.Add(s.now), s.settings, concurrency, rotations, s.random.Float64)
	s.turn(p, e.process)
}

// announced is the date of the next rotation that an answer names.
func (s *simulation) announced(process, secret int32) time.Time {
	v := s.of(process, secret)
	if n := int(v.version(s.now)); s.dates && n < len(v.dates) {
		return epoch.Add(v.dates[n])
	}
	return time.Time{}
}

// answer goes on as kms.Client.Poll does.
func (s *simulation) answer(p *process, e event) {
	kind := kms.Unavailable
	if e.outcome == throttled {
		kind = kms.Throttled
	}
	if e.outcome != good {
		lasting := e.outcome == throttled && p.lasting
		p.lasting = p.lasting || e.outcome == throttled
		if pause, again := kms.PollPause(int(e.try), kind, lasting, 0, s.upTo); again {
			e.at, e.kind = s.now+pause, eventCall
			e.try++
			s.events.push(e)
			return
		}
		p.poller.ended(epoch.Add(s.now), int(e.secret), reading{outcome: e.outcome, rotation: p.poller.state.turns[e.secret].rotation})
		return
	}
	p.lasting = false
	s.read(p, e)
}

// read takes in a good answer.
func (s *simulation) read(p *process, e event) {
	if s.now > s.measureFrom {
		p.gap = max(p.gap, s.now-max(p.good[e.secret], s.measureFrom))
		p.reads++
	}
	p.good[e.secret] = s.now
	v := s.of(e.process, e.secret)
	version := v.version(s.now - latency/2)
	how := reading{changed: version != p.seen[e.secret], rotation: s.announced(e.process, e.secret)}
	for n := p.seen[e.secret]; n < version; n++ {
		p.news = append(p.news, pending{v.rotated[n]})
	}
	p.seen[e.secret] = version
	p.poller.ended(epoch.Add(s.now), int(e.secret), how)
}

// turn asks a poller what to do now.
func (s *simulation) turn(p *process, i int32) {
	begin, wait := p.poller.turn(epoch.Add(s.now))
	if p.poller.ready() {
		for _, n := range p.news {
			if n.rotated > s.measureFrom {
				s.latencies = append(s.latencies, s.now-n.rotated)
			}
		}
		p.news = p.news[:0]
		p.poller.delivered()
	}
	for _, k := range begin {
		s.events.push(event{at: s.now, kind: eventCall, process: i, secret: int32(k), try: 1})
	}
	if wait >= 0 {
		p.wake++
		s.events.push(event{at: s.now + max(wait, time.Nanosecond), kind: eventWake, process: i, try: p.wake})
	}
}

func (s *simulation) conclude() {
	for i := range s.processes {
		p := &s.processes[i]
		if p.poller == nil {
			s.starts = append(s.starts, s.last)
			continue
		}
		s.starts, s.reads = append(s.starts, p.started), append(s.reads, p.reads)
		for k, at := range p.good {
			p.gap = max(p.gap, s.last-max(at, s.measureFrom))
			s.missed += int(max(s.of(int32(i), int32(k)).version(s.last-s.longestGap())-p.seen[k], 0))
		}
		for _, n := range p.news {
			if n.rotated < s.last-s.longestGap() {
				s.missed++
			}
		}
		s.gaps = append(s.gaps, p.gap)
	}
	slices.Sort(s.starts)
	slices.Sort(s.latencies)
	slices.Sort(s.gaps)
	slices.Sort(s.reads)
}
