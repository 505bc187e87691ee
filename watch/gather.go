package watch

import (
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// readPatience is how long news waits for reads that hang, beyond debounce_max.
const readPatience = 5 * time.Second

// gather is the wait for companions of a change, so that secrets that change
// together are delivered together. At a change every other secret is read at once;
// debounce passes; everything is read once more, since what changes together does
// not change in one moment; and if that finds another change, it begins again from
// the pause, until debounce_max. The zero value has nothing to gather.
type gather struct {
	active  bool
	limit   time.Time // debounce_max after the first change that is not delivered
	last    bool      // missing is the read of everything at the end
	more    bool      // which has found another change
	poked   bool      // everything is read anyway: what changes meanwhile extends nothing
	missing map[int]bool
	pause   time.Time // the end of debounce; zero when it is over
	hurry   time.Time // the end of the wait for what is missing
}

// done tells whether what was gathered may be delivered.
func (g gather) done() bool { return g.active && g.last && g.settled() && !g.more }

func (g gather) settled() bool { return g.pause.IsZero() && len(g.missing) == 0 }

// until is when next is to be asked again, if nothing happens before; zero for never.
func (g gather) until() time.Time {
	switch {
	case !g.active || g.settled():
		return time.Time{}
	case !g.pause.IsZero():
		return g.pause // which is never after hurry
	default:
		return g.hurry
	}
}

// changed takes note of a change of secret i, one of n, and tells whether what is
// missing is to be read now. The read that found it was early if it was not due.
func (g gather) changed(now time.Time, settings config.Watch, i, n int, early bool) (gather, bool) {
	switch {
	case !g.active || g.done():
		g = gather{active: true, limit: g.limit, missing: all(n)}.paced(now, settings)
		delete(g.missing, i)
		return g, true
	case g.last:
		g.more = !g.poked
	case !early:
		g = g.paced(now, settings)
	}
	return g, false
}

// paced starts the pause for companions, or starts it again within its limit.
func (g gather) paced(now time.Time, settings config.Watch) gather {
	if g.limit.IsZero() {
		g.limit = now.Add(settings.DebounceMax)
	}
	left := max(g.limit.Sub(now), 0)
	g.pause, g.hurry = time.Time{}, now.Add(left+readPatience)
	if pause := min(settings.Debounce, left); pause > 0 {
		g.pause = now.Add(pause)
	}
	return g
}

// poke begins a read of all n secrets that needs no companions.
func (g gather) poke(now time.Time, settings config.Watch, n int) gather {
	g = gather{active: true, limit: g.limit, missing: all(n), last: true, poked: true}.paced(now, settings)
	g.pause = time.Time{}
	return g
}

// next goes on to the next step, and tells whether what is missing is to be read now.
func (g gather) next(now time.Time, settings config.Watch, n int) (gather, bool) {
	if !g.pause.IsZero() && !now.Before(g.pause) {
		g.pause = time.Time{}
	}
	switch {
	case !g.active:
	case !g.settled():
		if !now.Before(g.hurry) {
			return gather{active: true, limit: g.limit, last: true}, false
		}
	case !g.last:
		g.last = true
		if settings.Debounce > 0 {
			g.missing = all(n)
			return g, true
		}
	case g.more:
		g.more = false
		if now.Before(g.limit) {
			g.last = false
			g = g.paced(now, settings)
		}
	}
	return g, false
}

func all(n int) map[int]bool {
	indexes := make(map[int]bool, n)
	for i := range n {
		indexes[i] = true
	}
	return indexes
}
