package watch

import (
	"slices"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// almostOne is the largest number that math/rand's Float64 gives.
const almostOne = 1 - 1.0/(1<<53)

func always(x float64) func() float64 { return func() float64 { return x } }

func TestAfter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		jitter, random float64
		want           time.Duration
	}{
		{0.1, 0, 54 * time.Second},
		{0.1, 0.5, 60 * time.Second},
		{0.1, almostOne, 66 * time.Second},
		{0, 0, 60 * time.Second},
		{0, almostOne, 60 * time.Second},
		{1, 0, 0},
		{1, almostOne, 120 * time.Second},
	} {
		settings := config.Watch{Interval: time.Minute, Jitter: test.jitter}
		if got := after(settings, always(test.random)).Round(time.Microsecond); got != test.want {
			t.Errorf("jitter %v, random %v: got %v, want %v", test.jitter, test.random, got, test.want)
		}
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	settings := config.Watch{Interval: time.Minute, Jitter: 0.5}
	numbers := []float64{0, 0.25, almostOne}
	var used int
	s := first(now, named("a", "b", "c"), settings, func() float64 {
		used++
		return numbers[used-1]
	})
	for name, want := range map[string]time.Duration{"a": 0, "b": 15 * time.Second, "c": time.Minute} {
		if got := s[named(name)[0]].Sub(now).Round(time.Microsecond); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if got, want := len(s), 3; got != want {
		t.Errorf("secrets: got %d, want %d", got, want)
	}
}

func TestNext(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, test := range []struct {
		name string
		at   map[string]time.Duration
		due  []string
		wait time.Duration
	}{
		{"nothing is due", map[string]time.Duration{"a": 3, "b": 2}, nil, 2},
		{"one is due", map[string]time.Duration{"a": 0, "b": 2}, []string{"a"}, 0},
		{"some are overdue, in order", map[string]time.Duration{"c": -1, "b": 2, "a": -9}, []string{"a", "c"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := schedule{}
			for name, at := range test.at {
				s[named(name)[0]] = now.Add(at)
			}
			due, wait := next(now, s)
			if want := named(test.due...); !slices.Equal(due, want) {
				t.Errorf("due: got %v, want %v", due, want)
			}
			if wait != test.wait {
				t.Errorf("wait: got %v, want %v", wait, test.wait)
			}
		})
	}
}
