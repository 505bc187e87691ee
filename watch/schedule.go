package watch

import (
	"slices"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// The schedule is pure: a state is a value, each func below makes another of it,
// and time and chance come from outside. So a simulation of a whole fleet runs the
// schedule that one process runs.

const (
	// rotationLead is how long before its date a rotation is looked for: the clocks
	// of two machines are never the same.
	rotationLead = 30 * time.Second
	// rotationTail is how long after its date a rotation is looked for.
	rotationTail = 10 * time.Minute

	// longestStep bounds how much one throttled read adds to an interval, and how
	// long a secret that could not be read for want of quota or service waits.
	longestStep = time.Minute
	// longestStretch bounds what throttling adds to an interval in all.
	longestStretch = 10 * time.Minute
	// relief is what is left of a stretch after each good read. (A smaller part
	// reacts faster when there is quota again, and costs more refusals until then.)
	relief = 0.95
	// stepsPerRound is how many steps a round adds in which every read is throttled:
	// the reads of one round all see the same want of quota.
	stepsPerRound = 3

	// firstBackoff is the pause after a first outage; it doubles up to the interval.
	firstBackoff = 5 * time.Second
	// longestRefusal bounds the pause after refusals, which doubles from the interval.
	longestRefusal = 5 * time.Minute
)

// state is what the schedule knows of one process: when each of its secrets is due,
// and by how much throttling has stretched the pauses between its reads.
type state struct {
	settings config.Watch
	turns    []turn        // one for each secret, in the watcher's order
	ordinary time.Duration // added to interval
	tight    time.Duration // added to rotation_interval
}

// turn is what is known of one secret.
type turn struct {
	due      time.Time
	underWay bool      // being read
	failures int       // in a row
	good     time.Time // when it was read last; zero before the first poll
	rotation time.Time // the date that KMS named; zero without one
	rotated  time.Time // the date whose rotation was seen
}

// outcome is how a read went.
type outcome int

const (
	good outcome = iota
	throttled
	outage
	refused
)

// reading is one read that has ended.
type reading struct {
	outcome  outcome
	changed  bool      // another value than before
	rotation time.Time // that the answer named
	// early reads were not due: after a change of another secret, or a poke. They
	// leave the phase of the secret alone, lest a fleet fall into step.
	early bool
}

// begin turns the first reads: at a random phase of the interval, for a fleet that
// starts together must not poll together. rotations has the date of each secret;
// random gives numbers in [0, 1).
func begin(now time.Time, settings config.Watch, rotations []time.Time, random func() float64) state {
	s := state{settings: settings, turns: make([]turn, len(rotations))}
	for i, rotation := range rotations {
		p, interval := turn{rotation: rotation}, settings.Interval
		if p.looking(now) {
			interval = s.tightInterval()
		}
		due := now.Add(part(interval, random()))
		p.due = p.notAfterRotation(now, due, settings, random)
		s.turns[i] = p
	}
	return s
}

// next lists what is due now, by its index, and how long it is until something is:
// less than 0 when everything is being read.
func next(now time.Time, s state) (due []int, wait time.Duration) {
	wait = -1
	for i, p := range s.turns {
		if p.underWay {
			continue
		}
		until := p.due.Sub(now)
		if until <= 0 {
			due = append(due, i)
		}
		if wait < 0 || until < wait {
			wait = max(until, 0)
		}
	}
	return due, wait
}

// begun is the state while secret i is being read.
func (s state) begun(i int) state {
	s.turns = slices.Clone(s.turns)
	s.turns[i].underWay = true
	return s
}

// after is the state after a read of secret i has ended.
func (s state) after(now time.Time, i int, r reading, random func() float64) state {
	s.turns = slices.Clone(s.turns)
	p := &s.turns[i]
	tight := p.looking(now)
	if !r.early {
		s = s.paced(tight, r.outcome)
	}
	if r.outcome == good {
		if r.changed && tight {
			p.rotated = p.rotation
		}
		p.failures, p.rotation = 0, r.rotation
	} else {
		p.failures++
	}
	due := now.Add(s.pause(*p, p.looking(now), r.outcome, random))
	due = p.notAfterRotation(now, due, s.settings, random)
	if !r.early || due.Before(p.due) || !p.due.After(now) { // its turn may have come meanwhile
		p.due = due
	}
	p.underWay = false
	if r.outcome == good {
		p.good = now
	}
	if r.outcome == throttled && !r.early && !tight {
		s.swap(now, i)
	}
	return s
}

// swap gives secret i, whose read was throttled, the next turn of this process, and
// the secret whose turn that was the later one of i, if it was read more recently:
// so throttling delays all secrets alike.
func (s state) swap(now time.Time, i int) {
	first := i
	for k, t := range s.turns {
		if !t.underWay && !t.looking(now) && t.failures == 0 && t.good.After(s.turns[i].good) && t.due.Before(s.turns[first].due) {
			first = k
		}
	}
	s.turns[i].due, s.turns[first].due = s.turns[first].due, s.turns[i].due
}

// paced stretches the pauses of this process after a throttled read, by addition,
// and shortens them after a good one, by multiplication: so processes that share a
// quota come to share it alike, whenever they started.
func (s state) paced(tight bool, o outcome) state {
	stretch, step := &s.ordinary, min(s.settings.Interval, longestStep)
	if tight {
		stretch, step = &s.tight, s.tightInterval()
	}
	switch o {
	case throttled:
		share := min(1, stepsPerRound/float64(len(s.turns)))
		*stretch = min(*stretch+part(step, share), longestStretch)
	case good:
		if *stretch = part(*stretch, relief); *stretch < step/100 {
			*stretch = 0
		}
	case outage, refused: // tell nothing of the quota
	}
	return s
}

// pause is the time to the next read of a secret whose last read went as o says.
func (s state) pause(p turn, tight bool, o outcome, random func() float64) time.Duration {
	base, stretch := s.settings.Interval, s.ordinary
	if tight {
		base, stretch = s.tightInterval(), s.tight
	}
	switch o {
	case throttled: // spread wide: what was refused together must not come back together
		return part(min(base, longestStep)+stretch, 0.5+random())
	case outage:
		return part(min(doubled(firstBackoff, p.failures-1), base, longestStep), 0.5+random()/2)
	case refused:
		base = min(doubled(base, p.failures-1), max(base, longestRefusal))
		return part(base, 1+s.settings.Jitter*(2*random()-1))
	default:
		return part(base, 1+s.settings.Jitter*(2*random()-1)) + stretch
	}
}

func (s state) tightInterval() time.Duration {
	return min(s.settings.RotationInterval, s.settings.Interval)
}

// looking tells whether the secret should be rotated about now, and was not yet.
func (p turn) looking(now time.Time) bool {
	return !p.rotation.IsZero() && !p.rotation.Equal(p.rotated) &&
		!now.Before(p.rotation.Add(-rotationLead)) && now.Before(p.rotation.Add(rotationTail))
}

// notAfterRotation is due, or the time to begin to look for a rotation if that is
// earlier; each process begins at another moment.
func (p turn) notAfterRotation(now, due time.Time, settings config.Watch, random func() float64) time.Time {
	opens := p.rotation.Add(-rotationLead)
	if p.rotation.IsZero() || p.rotation.Equal(p.rotated) || opens.Before(now) {
		return due
	}
	if opens = opens.Add(part(settings.RotationInterval, random())); opens.Before(due) {
		return opens
	}
	return due
}

// doubled stays far from overflowing for any interval below a year.
func doubled(d time.Duration, times int) time.Duration { return d << min(times, 8) }

func part(d time.Duration, fraction float64) time.Duration {
	return time.Duration(fraction * float64(d))
}
