package watch

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// seldom are settings under which nothing but a change or a poke leads to a read.
func seldom() config.Watch {
	settings := config.Default().Watch
	settings.Interval = 24 * time.Hour
	return settings
}

// TestCompanionWithinDebounce: what changes while the pause passes is found at its
// end, though its own poll is far away.
func TestCompanionWithinDebounce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), config.Default().Watch, newSource("a", "b"))
		b.set("a", value("v2"))
		at := b.seen(t, "a", "v2")
		b.set("b", value("v2"))
		b.wantNext(t, "a=v2", "b=v2")
		if got, want := time.Since(at), 4*time.Second; got > want { // a second pause is for companions of b
			t.Errorf("delivered after %v, want within %v", got, want)
		}
		b.wantNext(t)
	})
}

// TestNoDebounce: companions are read at once, and that is all.
func TestNoDebounce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		settings := config.Default().Watch
		settings.Debounce = 0
		b := watching(t.Context(), settings, newSource("a", "b"))
		b.set("a", value("v2"))
		b.set("b", value("v2"))
		b.wantNext(t, "a=v2", "b=v2")
		calls := b.took()
		at := calls[len(calls)-1].at
		if got, want := time.Since(at), time.Duration(0); got != want {
			t.Errorf("delivered after %v, want %v", got, want)
		}
	})
}

// hang makes reads of the named secret hang until the test lets them go.
func (s *source) hang(ctx context.Context, name string) (fetch Fetch) {
	return func(fetching context.Context, id secret.ID) (secret.Value, error) {
		if id.Name == name {
			select {
			case <-ctx.Done():
			case <-fetching.Done():
			}
			return secret.Value{}, errOutage
		}
		return s.fetch(fetching, id)
	}
}

// TestOneHangs: a secret whose reads hang holds up the polls of no other, and news
// only for a while.
func TestOneHangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx, letGo := context.WithCancel(t.Context())
		defer letGo()
		b := watchingBy(t.Context(), config.Default().Watch, newSource("a", "b"), func(s *source) Fetch { return s.hang(ctx, "b") })
		time.Sleep(time.Hour)
		synctest.Wait()
		if got, want := len(b.took()), 55; got < want {
			t.Errorf("polls of the other in an hour: got %d, want %d or more", got, want)
		}
		b.set("a", value("v2"))
		at := b.seen(t, "a", "v2")
		b.wantNext(t, "a=v2", "b=v1")
		if got, want := time.Since(at), 15*time.Second; got != want {
			t.Errorf("delivered after %v, want %v", got, want)
		}
	})
}

// TestPokeDuringRead: a read that began before the poke may have missed what the
// poke is about.
func TestPokeDuringRead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, gate := newSource("a"), make(chan struct{})
		old := s.values["a"]
		slow := func(ctx context.Context, _ secret.ID) (secret.Value, error) {
			<-gate
			s.mu.Lock()
			defer s.mu.Unlock()
			v := old
			old = s.values["a"]
			return v, ctx.Err()
		}
		b := watchingBy(t.Context(), seldom(), s, func(*source) Fetch { return slow })
		b.watcher.Poke()
		synctest.Wait()
		b.set("a", value("v2"))
		b.watcher.Poke()
		synctest.Wait()
		close(gate)
		start := time.Now()
		b.wantNext(t, "a=v2")
		if got, want := time.Since(start), time.Duration(0); got != want {
			t.Errorf("delivered after %v, want %v", got, want)
		}
	})
}

// TestThrottledPoke: what a poke could not read is read soon, not at its far turn.
func TestThrottledPoke(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), seldom(), newSource("a"))
		b.set("a", value("v2"))
		b.fail(failed{outage: true, why: "throttled"}, "a")
		b.watcher.Poke()
		synctest.Wait()
		b.fail(nil, "a")
		start := time.Now()
		b.wantNext(t, "a=v2")
		if got, want := time.Since(start), 2*time.Minute; got > want {
			t.Errorf("delivered after %v, want within %v", got, want)
		}
	})
}

// TestRotationDateOfAnAnswer: the date comes with the values, and is looked for.
func TestRotationDateOfAnAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newSource("a", "b")
		date := time.Now().Add(3 * time.Hour)
		s.values["a"] = s.values["a"].WithNextRotation(date)
		b := watching(t.Context(), seldom(), s)
		time.Sleep(time.Until(date) - time.Hour)
		b.watcher.Poke()
		time.Sleep(time.Hour + time.Second)
		b.set("a", value("v2"))
		b.wantNext(t, "a=v2", "b=v1")
		if got, want := time.Since(date), 9*time.Second; got > want {
			t.Errorf("delivered %v after the date, want within %v", got, want)
		}
	})
}

func TestStatus(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newSource("a", "b")
		date := time.Now().Add(time.Hour).UTC()
		s.values["a"] = secret.NewValue([]byte("x"), "v7", []string{"ACSCurrent", "x"}, time.Now().Add(-time.Hour)).WithNextRotation(date)
		b := watching(t.Context(), config.Default().Watch, s)
		if got := b.watcher.Status(); got != nil {
			t.Errorf("before the start: got %v, want nothing", got)
		}
		b.fail(errRefused, "b")
		states := func() []string {
			synctest.Wait()
			var list []string
			for _, s := range b.watcher.Status() {
				list = append(list, s.Secret+" "+s.Stage+" "+s.Version+" "+s.State+" "+s.Error)
			}
			return list
		}
		for _, test := range []struct {
			pass time.Duration
			want []string
		}{
			{0, []string{"a ACSCurrent v7 ok ", "b ACSCurrent v1 ok "}},
			{time.Minute, []string{"a ACSCurrent v7 ok ", "b ACSCurrent v1 failing denied"}},
			{20 * time.Minute, []string{"a ACSCurrent v7 ok ", "b ACSCurrent v1 stale denied"}},
		} {
			time.Sleep(test.pass)
			if got := states(); !slices.Equal(got, test.want) {
				t.Errorf("after %v: got %q, want %q", test.pass, got, test.want)
			}
		}
		a := b.watcher.Status()[0]
		if a.NextRotation == nil || !a.NextRotation.Equal(date.Truncate(time.Millisecond)) || a.Created == nil || !slices.Equal(a.Stages, []string{"ACSCurrent", "x"}) {
			t.Errorf("a: got %+v", a)
		}
		if next := time.Until(*a.NextPoll); next < 0 || next > 66*time.Second {
			t.Errorf("next poll in %v, want within 66s", next)
		}
		if last := time.Since(*a.LastGood); last < 0 || last > 66*time.Second {
			t.Errorf("last good read %v ago, want within 66s", last)
		}
	})
}

func TestPinned(t *testing.T) {
	t.Parallel()
	var snapshot secret.Snapshot
	snapshot = snapshot.With(secret.ID{Name: "a", Version: "v1"}, value("v1")).With(named("b")[0], value("v2"))
	got := Pinned(snapshot)
	if len(got) != 1 || got[0].Secret != "a" || got[0].State != metrics.SecretPinned || got[0].NextPoll != nil {
		t.Errorf("got %+v, want a alone, never polled", got)
	}
}
