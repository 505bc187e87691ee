package inject

import (
	"math/rand/v2"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// pace is when we restarted the program, so that a secret that changes all the time
// does not keep it from its work. It is a value; the first start is not in it.
type pace []time.Time

const hour = time.Hour

// next is the earliest time for another restart, and whether on_change.max_per_hour
// puts it off.
func (p pace) next(now time.Time, on config.OnChange) (at time.Time, limited bool) {
	at = now
	if len(p) > 0 {
		if t := p[len(p)-1].Add(on.MinInterval); t.After(at) {
			at = t
		}
	}
	if n := on.MaxPerHour; n > 0 && len(p) >= n {
		if t := p[len(p)-n].Add(hour); t.After(at) {
			return t, true
		}
	}
	return at, false
}

// with is the pace after one more restart. It forgets what next won't ask for.
func (p pace) with(now time.Time, on config.OnChange) pace {
	all := append(p, now)
	if extra := len(all) - max(on.MaxPerHour, 1); extra > 0 {
		all = append(pace(nil), all[extra:]...)
	}
	return all
}

// splayed is a random part of on_change.splay.
func splayed(on config.OnChange) time.Duration {
	if on.Splay <= 0 {
		return 0
	}
	return rand.N(on.Splay)
}
