package watch

import (
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// schedule is when each secret is due for its next read.
type schedule map[secret.ID]time.Time

// first spreads the first reads over one interval: a fleet that starts together
// must not poll together. random gives numbers in [0, 1).
func first(now time.Time, ids []secret.ID, settings config.Watch, random func() float64) schedule {
	s := schedule{}
	for _, id := range ids {
		s[id] = now.Add(time.Duration(random() * float64(settings.Interval)))
	}
	return s
}

// next lists what is due now, and how long it is until something is.
func next(now time.Time, s schedule) (due []secret.ID, wait time.Duration) {
	wait = -1
	for id, at := range s {
		until := at.Sub(now)
		if until <= 0 {
			due = append(due, id)
		}
		if wait < 0 || until < wait {
			wait = max(until, 0)
		}
	}
	return secret.SortIDs(due), wait
}

// after is the pause between two reads: the interval, give or take its jitter.
func after(settings config.Watch, random func() float64) time.Duration {
	stretch := 1 + settings.Jitter*(2*random()-1)
	return time.Duration(stretch * float64(settings.Interval))
}
