package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// almostOne is the largest number that math/rand's Float64 gives.
const almostOne = 1 - 1.0/(1<<53)

// today is any day.
var today = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func always(x float64) func() float64 { return func() float64 { return x } }

// inTurn gives the numbers one after the other.
func inTurn(numbers ...float64) func() float64 {
	return func() float64 {
		x := numbers[0]
		numbers = numbers[1:]
		return x
	}
}

// polling are settings without chance.
func polling(interval time.Duration) config.Watch {
	return config.Watch{Interval: interval, RotationInterval: 5 * time.Second}
}

// until lists how long it is until each secret is due.
func (s state) until(now time.Time) []time.Duration {
	var list []time.Duration
	for _, t := range s.turns {
		list = append(list, t.due.Sub(now).Round(time.Millisecond))
	}
	return list
}

// planned are the turns of secrets that are due after these times.
func planned(settings config.Watch, due ...time.Duration) state {
	s := state{settings: settings}
	for _, d := range due {
		s.turns = append(s.turns, turn{due: today.Add(d)})
	}
	return s
}

func TestBegin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		rotations []time.Time
		random    []float64
		want      []time.Duration
	}{
		{"random phases", make([]time.Time, 3), []float64{0, 0.25, almostOne}, []time.Duration{0, 15 * time.Second, time.Minute}},
		{"a rotation is far", []time.Time{today.Add(time.Hour)}, []float64{0.5, 0.5}, []time.Duration{30 * time.Second}},
		{"a rotation is near", []time.Time{today.Add(40 * time.Second)}, []float64{0.5, 0.2}, []time.Duration{11 * time.Second}},
		{"a rotation is due", []time.Time{today.Add(-time.Minute)}, []float64{0.5}, []time.Duration{2500 * time.Millisecond}},
		{"a rotation was due", []time.Time{today.Add(-rotationTail)}, []float64{0.5}, []time.Duration{30 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := begin(today, polling(time.Minute), test.rotations, inTurn(test.random...))
			if got := s.until(today); !slices.Equal(got, test.want) {
				t.Errorf("due after: got %v, want %v", got, test.want)
			}
		})
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		due      []time.Duration
		underWay []int
		want     []int
		wait     time.Duration
	}{
		{"nothing is due", []time.Duration{3, 2}, nil, nil, 2},
		{"one is due", []time.Duration{0, 2}, nil, []int{0}, 0},
		{"some are overdue", []time.Duration{-9, 2, -1}, nil, []int{0, 2}, 0},
		{"one is under way", []time.Duration{-9, 2, 3}, []int{0}, nil, 2},
		{"all are under way", []time.Duration{-9, 2}, []int{0, 1}, nil, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := planned(polling(time.Minute), test.due...)
			for _, i := range test.underWay {
				s = s.begun(i)
			}
			due, wait := next(today, s)
			if !slices.Equal(due, test.want) {
				t.Errorf("due: got %v, want %v", due, test.want)
			}
			if wait != test.wait {
				t.Errorf("wait: got %v, want %v", wait, test.wait)
			}
		})
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		interval time.Duration
		jitter   float64
		outcomes []outcome
		random   float64
		want     time.Duration // after the last
	}{
		{"good", time.Minute, 0.1, []outcome{good}, 0, 54 * time.Second},
		{"good, by chance", time.Minute, 0.1, []outcome{good}, 0.5, 60 * time.Second},
		{"good, at most", time.Minute, 0.1, []outcome{good}, almostOne, 66 * time.Second},
		{"no jitter", time.Minute, 0, []outcome{good}, almostOne, 60 * time.Second},
		{"all jitter", time.Minute, 1, []outcome{good}, 0, 0},
		{"throttled", time.Minute, 0, []outcome{throttled}, 0.5, 2 * time.Minute},
		{"throttled, spread", time.Minute, 0, []outcome{throttled}, 0, time.Minute},
		{"throttled twice", time.Minute, 0, []outcome{throttled, throttled}, 0.5, 3 * time.Minute},
		{"throttled for long", time.Minute, 0, slices.Repeat([]outcome{throttled}, 99), 0.5, 11 * time.Minute},
		{"throttled with a short interval", time.Second, 0, []outcome{throttled}, 0.5, 2 * time.Second},
		{"throttled with a long interval", time.Hour, 0, []outcome{throttled}, 0.5, 2 * time.Minute},
		{"throttled, then good", time.Minute, 0, []outcome{throttled, good}, 0.5, 117 * time.Second},
		{"throttled, then good for long", time.Minute, 0, append([]outcome{throttled}, slices.Repeat([]outcome{good}, 99)...), 0.5, time.Minute},
		{"outage", time.Minute, 0, []outcome{outage}, almostOne, 5 * time.Second},
		{"outage, spread", time.Minute, 0, []outcome{outage}, 0, 2500 * time.Millisecond},
		{"a second outage", time.Minute, 0, []outcome{outage, outage}, almostOne, 10 * time.Second},
		{"outages for long", time.Minute, 0, slices.Repeat([]outcome{outage}, 99), almostOne, time.Minute},
		{"outages with a long interval", time.Hour, 0, slices.Repeat([]outcome{outage}, 99), almostOne, time.Minute},
		{"outage with a short interval", time.Second, 0, []outcome{outage}, almostOne, time.Second},
		{"refused", time.Minute, 0, []outcome{refused}, 0.5, time.Minute},
		{"refused twice", time.Minute, 0, []outcome{refused, refused}, 0.5, 2 * time.Minute},
		{"refused for long", time.Minute, 0, slices.Repeat([]outcome{refused}, 99), 0.5, 5 * time.Minute},
		{"refused with a long interval", time.Hour, 0, slices.Repeat([]outcome{refused}, 99), 0.5, time.Hour},
		{"good after refusals", time.Minute, 0, []outcome{refused, refused, good}, 0.5, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			settings := polling(test.interval)
			settings.Jitter = test.jitter
			s := planned(settings, 0)
			for _, o := range test.outcomes {
				s = s.after(today, 0, reading{outcome: o}, always(test.random))
			}
			if got := s.until(today)[0]; got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestOthersGoOn: what befalls one secret slows no other, but for throttling, which
// slows all that this process reads afterwards.
func TestOthersGoOn(t *testing.T) {
	t.Parallel()
	for o, want := range map[outcome]time.Duration{good: time.Minute, outage: time.Minute, refused: time.Minute, throttled: 117 * time.Second} {
		s := planned(polling(time.Minute), 0, 0, 7*time.Second)
		s = s.after(today, 0, reading{outcome: o}, always(0.5))
		s = s.after(today, 1, reading{}, always(0.5))
		if got, want := s.until(today)[1:], []time.Duration{want, 7 * time.Second}; !slices.Equal(got, want) {
			t.Errorf("after outcome %d: got %v, want %v", o, got, want)
		}
	}
}

// TestEarly: a read out of turn leaves the turn alone, unless it brings it forward.
func TestEarly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		due  time.Duration
		r    reading
		want time.Duration
	}{
		{"good", 7 * time.Second, reading{}, 7 * time.Second},
		{"good, far from its turn", time.Hour, reading{}, time.Minute},
		{"its turn came meanwhile", -time.Millisecond, reading{}, time.Minute},
		{"throttled, which stretches nothing", time.Hour, reading{outcome: throttled}, time.Minute},
		{"outage", 7 * time.Second, reading{outcome: outage}, 3750 * time.Millisecond},
		{"a rotation is near", 59 * time.Second, reading{rotation: today.Add(time.Minute)}, 32500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.r.early = true
			s := planned(polling(time.Minute), test.due).begun(0).after(today, 0, test.r, always(0.5))
			if got := s.until(today)[0]; got != test.want {
				t.Errorf("due after: got %v, want %v", got, test.want)
			}
			if s.ordinary != 0 || s.turns[0].underWay {
				t.Errorf("stretch %v, under way %v; want neither", s.ordinary, s.turns[0].underWay)
			}
		})
	}
}

// TestRotationDate follows one secret from poll to poll, all of them good.
func TestRotationDate(t *testing.T) {
	t.Parallel()
	date := today.Add(time.Hour)
	for _, test := range []struct {
		name       string
		changeAt   time.Duration // from the date; the answer names a date a day later from then on
		tight      int           // polls in the tight rhythm
		first      time.Duration // of them, from the date
		lastBefore time.Duration // and the last
	}{
		{"in time", time.Second, 7, -27500 * time.Millisecond, 2500 * time.Millisecond},
		{"ahead of its date", -20 * time.Second, 3, -27500 * time.Millisecond, -17500 * time.Millisecond},
		{"by hand, long before", -30 * time.Minute, 0, 0, 0},
		{"late", 2 * time.Minute, 31, -27500 * time.Millisecond, 122500 * time.Millisecond},
		{"never", 24 * time.Hour, 126, -27500 * time.Millisecond, 597500 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := begin(today, polling(10*time.Minute), []time.Time{date}, always(0.5))
			var tight []time.Duration
			changed := false
			for now := s.turns[0].due; now.Before(today.Add(3 * time.Hour)); now = s.turns[0].due {
				r := reading{rotation: date}
				if !now.Before(date.Add(test.changeAt)) {
					r.rotation, r.changed, changed = date.Add(24*time.Hour), !changed, true
				}
				if s.turns[0].looking(now) {
					tight = append(tight, now.Sub(date))
				}
				s = s.after(now, 0, r, always(0.5))
			}
			if len(tight) != test.tight {
				t.Fatalf("tight polls: got %d (%v), want %d", len(tight), tight, test.tight)
			}
			if len(tight) > 0 && (tight[0] != test.first || tight[len(tight)-1] != test.lastBefore) {
				t.Errorf("from %v to %v, want %v to %v", tight[0], tight[len(tight)-1], test.first, test.lastBefore)
			}
		})
	}
}

// TestRotatedDateIsOver: a new version ends the tight polls, whatever date comes
// with it.
func TestRotatedDateIsOver(t *testing.T) {
	t.Parallel()
	s := begin(today, polling(time.Minute), []time.Time{today}, always(0.5))
	s = s.after(today, 0, reading{rotation: today, changed: true}, always(0.5))
	if got, want := s.until(today)[0], time.Minute; got != want {
		t.Errorf("the next poll: got %v, want %v", got, want)
	}
}

// TestTightStretch: throttled tight polls stretch themselves, and not the ordinary ones.
func TestTightStretch(t *testing.T) {
	t.Parallel()
	s := begin(today, polling(time.Minute), []time.Time{today, {}}, always(0.5))
	s = s.after(today, 0, reading{outcome: throttled, rotation: today}, always(0.5))
	s = s.after(today, 1, reading{}, always(0.5))
	if got, want := s.until(today), []time.Duration{10 * time.Second, time.Minute}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestSwap: a throttled secret is read at the next turn of the process, in the place
// of one that was read since.
func TestSwap(t *testing.T) {
	t.Parallel()
	s := planned(polling(time.Minute), 0, 10*time.Second, 5*time.Second, 2*time.Second, time.Second)
	s.turns[0].good = today.Add(-time.Minute)
	s.turns[1].good = today.Add(-50 * time.Second)
	s.turns[2].good = today.Add(-55 * time.Second)
	s.turns[3].good = today.Add(-2 * time.Minute) // waits for longer itself
	s.turns[4].good, s.turns[4].failures = today, 1
	s = s.after(today, 0, reading{outcome: throttled}, always(0.5))
	want := []time.Duration{5 * time.Second, 10 * time.Second, 96 * time.Second, 2 * time.Second, time.Second}
	if got := s.until(today); !slices.Equal(got, want) {
		t.Errorf("due after: got %v, want %v", got, want)
	}
}

// TestShare: a process with many secrets adds less for each of them.
func TestShare(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]time.Duration{1: time.Minute, 3: time.Minute, 6: 30 * time.Second, 60: 3 * time.Second} {
		s := planned(polling(time.Minute), make([]time.Duration, n)...).after(today, 0, reading{outcome: throttled}, always(0.5))
		if got := s.ordinary; got != want {
			t.Errorf("%d secrets: got %v, want %v", n, got, want)
		}
	}
}
