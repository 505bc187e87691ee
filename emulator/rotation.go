package emulator

import (
	"fmt"
	"strconv"
	"time"
)

const (
	day         = 24 * time.Hour
	minInterval = 6 * time.Hour // one page says seven days, for UpdateSecretRotationPolicy only
	maxInterval = 365 * day
)

// rotation is when a managed secret gets its next value.
type rotation struct {
	interval time.Duration // zero while it is not automatic
	last     time.Time     // zero before the first
	next     time.Time     // zero while it is not automatic
}

// parseInterval reads a number with one of the units d, h, m and s.
func parseInterval(text string, low, high time.Duration) (time.Duration, error) {
	unit := map[string]time.Duration{"d": day, "h": time.Hour, "m": time.Minute, "s": time.Second}
	if text == "" {
		return 0, needed("RotationInterval")
	}
	number, letter := text[:len(text)-1], text[len(text)-1:]
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || unit[letter] == 0 || n > uint64(high/unit[letter]) || time.Duration(n)*unit[letter] < low {
		return 0, invalid("RotationInterval")
	}
	return time.Duration(n) * unit[letter], nil
}

// interval reads the two parameters that say whether and how often to rotate; zero is not at all.
func (p params) interval(low, high time.Duration) (time.Duration, error) {
	enabled, err := p.boolean("EnableAutomaticRotation")
	if err != nil || !enabled {
		return 0, err
	}
	return parseInterval(p["RotationInterval"], low, high)
}

// seconds is how the API writes intervals, whatever unit they came in.
func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int64(d/time.Second)) }

// plan sets the next date, if rotation is automatic. An access key isn't replaced before the one it replaced is gone.
func (m *managed) plan(at time.Time) {
	switch {
	case m.rotation.interval == 0:
		m.rotation.next = time.Time{}
	case at.Before(m.overlap):
		m.rotation.next = m.overlap
	default:
		m.rotation.next = at
	}
}

// settle makes the rotations that were due since somebody last looked, each at its date. Of many, the last ten or
// eleven are made, since no more versions are kept; an even number is left out, so that of two accounts the same one
// is current as if all had been made. While its key can't be used a secret waits, and catches up when it can.
func (st *store) settle(s *secret, now time.Time) {
	m := &s.managed
	if s.expire(now) {
		st.dirty = true
	}
	if m.rotation.interval == 0 || m.rotation.next.After(now) {
		return
	}
	k, err := st.keyFor(&s.facts)
	if err != nil {
		return
	}
	st.dirty = true
	period := max(m.rotation.interval, m.subtype.overlap) // an overlap holds the next one up
	if missed := int64(now.Sub(m.rotation.next)/period) + 1; missed > maxVersions {
		left := (missed - maxVersions) &^ 1
		m.rotation.next = m.rotation.next.Add(time.Duration(left) * period)
	}
	for !m.rotation.next.After(now) {
		s.expire(m.rotation.next)
		if s.turn(k, newRequestID(), m.rotation.next) != nil {
			return // what can't be read can't be rotated
		}
	}
	s.expire(now)
}

// automate turns automatic rotation on or, with no interval, off. The first date counts from the last rotation, else
// from the making of the secret; when that is over, the secret is due now.
func (s *secret) automate(interval time.Duration, now time.Time) {
	m := &s.managed
	m.rotation.interval = interval
	from := m.rotation.last
	if from.IsZero() {
		from = s.created
	}
	next := from.Add(interval)
	if next.Before(now) {
		next = now
	}
	m.plan(next)
}

// postpone moves a date that has passed to now.
func (m *managed) postpone(now time.Time) {
	if m.rotation.interval > 0 && m.rotation.next.Before(now) {
		m.rotation.next = now
	}
}
