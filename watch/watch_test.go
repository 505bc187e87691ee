package watch

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

type call struct {
	name, version string
	at            time.Time
}

// source is a KMS in memory. The clock of a bubble is fake, its races are not:
// hence the lock.
type source struct {
	mu     sync.Mutex
	values map[string]secret.Value
	errs   map[string]error
	calls  []call
	before func(ctx context.Context) // run by each fetch, if not nil
}

func newSource(names ...string) *source {
	s := &source{values: map[string]secret.Value{}, errs: map[string]error{}}
	for _, name := range names {
		s.values[name] = value("v1")
	}
	return s
}

func (s *source) fetch(ctx context.Context, id secret.ID) (secret.Value, error) {
	if s.before != nil {
		s.before(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.values[id.Name]
	s.calls = append(s.calls, call{id.Name, v.Version, time.Now()})
	if err := s.errs[id.Name]; err != nil {
		return secret.Value{}, err
	}
	return v, ctx.Err()
}

func (s *source) set(name string, v secret.Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name] = v
}

// fail makes reads of the named secrets fail; nil mends them.
func (s *source) fail(err error, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.errs[name] = err
	}
}

// took lists the calls so far.
func (s *source) took() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// seen waits until a version was read, and says when that was first.
func (s *source) seen(t *testing.T, name, version string) time.Time {
	t.Helper()
	for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, c := range s.took() {
			if c.name == name && c.version == version {
				return c.at
			}
		}
	}
	t.Fatalf("%s of %s was not read within an hour", version, name)
	return time.Time{}
}

// bench is a watcher of a source.
type bench struct {
	*source
	watcher *Watcher
	updates chan secret.Snapshot
	ended   chan struct{}
	log     strings.Builder // to be read after synctest.Wait
}

// watching starts a watcher of the source's secrets in the bubble, until ctx ends.
func watching(ctx context.Context, settings config.Watch, s *source) *bench {
	return watchingBy(ctx, settings, s, func(s *source) Fetch { return s.fetch })
}

// watchingBy is watching with another way to read.
func watchingBy(ctx context.Context, settings config.Watch, s *source, fetch func(*source) Fetch) *bench {
	b := &bench{source: s, updates: make(chan secret.Snapshot), ended: make(chan struct{})}
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "after" {
			return slog.Attr{}
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(&b.log, &slog.HandlerOptions{ReplaceAttr: drop}))
	ids := named(slices.Sorted(maps.Keys(s.values))...)
	var have secret.Snapshot
	for _, id := range ids {
		have = have.With(id, s.values[id.Name])
	}
	b.watcher = New(settings, 2, ids, fetch(s), log, metrics.New("test"))
	go func() {
		defer close(b.ended)
		b.watcher.Run(ctx, have, b.updates)
	}()
	return b
}

// next is the next news, as a list of versions; nil if there is none within an hour.
func (b *bench) next() []string {
	select {
	case snapshot := <-b.updates:
		return versions(snapshot)
	case <-time.After(time.Hour):
		return nil
	}
}

func (b *bench) wantNext(t *testing.T, want ...string) {
	t.Helper()
	if got := b.next(); !slices.Equal(got, want) {
		t.Errorf("news: got %v, want %v", got, want)
	}
}

// often are settings under which something is read while a debounce waits.
func often() config.Watch {
	return config.Watch{Interval: time.Second, Debounce: 2 * time.Second, DebounceMax: 10 * time.Second}
}

// inBubble runs a test on a fake clock.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

func TestNoChange(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		start := time.Now()
		b := watching(t.Context(), config.Default().Watch, newSource("a", "b", "c"))
		b.wantNext(t)
		last := map[string]time.Time{}
		for _, c := range b.took() {
			previous, again := last[c.name]
			last[c.name] = c.at
			if !again {
				if got, want := c.at.Sub(start), time.Minute; got > want {
					t.Errorf("%s: first read after %v, want within %v", c.name, got, want)
				}
				continue
			}
			if got := c.at.Sub(previous); got < 54*time.Second || got > 66*time.Second {
				t.Errorf("%s: read again after %v, want 54s to 66s", c.name, got)
			}
		}
		for _, name := range []string{"a", "b", "c"} {
			if got, want := time.Since(last[name]), 66*time.Second; got > want {
				t.Errorf("%s: last read %v ago, want at most %v", name, got, want)
			}
		}
	})
}

func TestChange(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), config.Default().Watch, newSource("a", "b", "c"))
		b.set("b", value("v2"))
		b.wantNext(t, "a=v1", "b=v2", "c=v1")
		at := b.seen(t, "b", "v2")
		if got, want := time.Since(at), 2*time.Second; got != want {
			t.Errorf("delivered %v after the read, want %v", got, want)
		}
		var together []string
		for _, c := range b.took() {
			if c.at.Equal(at) {
				together = append(together, c.name)
			}
		}
		slices.Sort(together)
		if got, want := together, []string{"a", "b", "c"}; !slices.Equal(got, want) {
			t.Errorf("read at the change: got %v, want %v", got, want)
		}
		b.wantNext(t) // once is enough
	})
}

func TestWhatIsAChange(t *testing.T) {
	t.Parallel()
	otherBytes := secret.NewValue([]byte("other"), "v1", nil, time.Time{})
	// A poll that finds only other labels is no news: the program sees the bytes alone.
	otherStages := secret.NewValue(value("v1").Bytes(), "v1", []string{"x"}, time.Now())
	for _, test := range []struct {
		name string
		to   []secret.Value
		want []string
	}{
		{"another version", []secret.Value{value("v2")}, []string{"a=v2"}},
		{"the same version with other bytes", []secret.Value{otherBytes}, []string{"a=v1"}},
		{"a label moved back", []secret.Value{value("v2"), value("v1")}, []string{"a=v2", "a=v1"}},
		{"other labels", []secret.Value{otherStages}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := watching(t.Context(), config.Default().Watch, newSource("a"))
				var got []string
				for _, v := range test.to {
					b.set("a", v)
					got = append(got, b.next()...)
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("news: got %v, want %v", got, test.want)
				}
			})
		})
	}
}

func TestCompanionsComeTogether(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), often(), newSource("a", "b", "c"))
		b.set("a", value("v2"))
		b.seen(t, "a", "v2")
		b.set("b", value("v2"))
		b.seen(t, "b", "v2")
		b.set("c", value("v2"))
		b.wantNext(t, "a=v2", "b=v2", "c=v2")
		if got, want := time.Since(b.seen(t, "c", "v2")), 2*time.Second; got != want {
			t.Errorf("delivered %v after the last change, want %v", got, want)
		}
		b.wantNext(t)
	})
}

// TestDebounceMax: changes that never cease are not held back for ever.
func TestDebounceMax(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), often(), newSource("a"))
		b.set("a", value("first"))
		at := b.seen(t, "a", "first")
		for i := 0; ; i++ {
			b.set("a", value(strings.Repeat("x", 1+i%2)))
			select {
			case <-b.updates:
				if got, want := time.Since(at), 10*time.Second; got != want {
					t.Errorf("delivered after %v, want %v", got, want)
				}
				return
			case <-time.After(time.Second):
			}
			if time.Since(at) > time.Minute {
				t.Fatal("nothing delivered for a minute")
			}
		}
	})
}

// TestDebounceStartsAnew: the limit is of one wait, not of all.
func TestDebounceStartsAnew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), often(), newSource("a"))
		b.set("a", value("v2"))
		b.wantNext(t, "a=v2")
		b.set("a", value("undone"))
		b.seen(t, "a", "undone")
		b.set("a", value("v2"))
		b.wantNext(t)
		b.set("a", value("v3"))
		b.wantNext(t, "a=v3")
		if got, want := time.Since(b.seen(t, "a", "v3")), 2*time.Second; got != want {
			t.Errorf("delivered after %v, want %v", got, want)
		}
	})
}

func TestSlowReceiver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), config.Default().Watch, newSource("a", "b"))
		for _, version := range []string{"v2", "v3", "v4"} {
			b.set("a", value(version))
			time.Sleep(5 * time.Minute)
		}
		b.wantNext(t, "a=v4", "b=v1")
		b.wantNext(t)
	})
}

func TestChangeUndone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), config.Default().Watch, newSource("a"))
		b.set("a", value("v2"))
		time.Sleep(5 * time.Minute)
		b.set("a", value("v1"))
		time.Sleep(5 * time.Minute)
		b.wantNext(t)
	})
}

func TestFailingSecretKeepsItsValue(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), config.Default().Watch, newSource("a", "b"))
		b.fail(errRefused, "a")
		b.set("a", value("v2"))
		b.set("b", value("v2"))
		b.wantNext(t, "a=v1", "b=v2")
		b.fail(nil, "a")
		b.wantNext(t, "a=v2", "b=v2")
	})
}

func TestRefresh(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		settings := config.Default().Watch
		settings.Interval = 24 * time.Hour
		s, gate := newSource("a", "b"), make(chan struct{})
		s.before = func(context.Context) { <-gate }
		b := watching(t.Context(), settings, s)
		b.set("a", value("v2"))
		start := time.Now()

		b.watcher.Poke()
		synctest.Wait() // the round is under way; all pokes from now on are one
		for range 5 {
			b.watcher.Poke()
		}
		close(gate)
		b.wantNext(t, "a=v2", "b=v1")
		if got, want := time.Since(start), time.Duration(0); got != want {
			t.Errorf("delivered after %v, want %v", got, want)
		}
		synctest.Wait()
		if got, want := len(b.took()), 2*2; got != want {
			t.Errorf("reads: got %d, want %d", got, want)
		}
	})
}

// TestRefreshEndsDebounce: a round that read everything leaves no companion to wait for.
func TestRefreshEndsDebounce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), config.Default().Watch, newSource("a", "b"))
		b.set("a", value("v2"))
		b.seen(t, "a", "v2")
		start := time.Now()
		b.watcher.Poke()
		b.wantNext(t, "a=v2", "b=v1")
		if got, want := time.Since(start), time.Duration(0); got != want {
			t.Errorf("delivered after %v, want %v", got, want)
		}
	})
}

const (
	outageBegins  = `level=WARN msg="KMS can't be read; keeping the present secrets and trying on" place=KMS err=unavailable`
	outageEnds    = `level=INFO msg="KMS can be read again" place=KMS`
	refusalBegins = `level=WARN msg="a secret can't be read; keeping its present value and trying on" secret=kms://a err=denied`
	refusalTurns  = `level=WARN msg="a secret can't be read; keeping its present value and trying on" secret=kms://a err=deleted`
	refusalEnds   = `level=INFO msg="the secret can be read again" secret=kms://a`
)

// TestTrouble: each change of state is one line, however many reads fail.
func TestTrouble(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		steps []func(s *source) // ten intervals pass after each
		want  []string          // the whole log
	}{
		{"an outage", []func(*source){
			func(s *source) { s.fail(errOutage, "a", "b", "c") },
			func(s *source) { s.fail(nil, "a", "b", "c") },
		}, []string{outageBegins, outageEnds}},
		{"an outage that ends bit by bit", []func(*source){
			func(s *source) { s.fail(errOutage, "a", "b", "c") },
			func(s *source) { s.fail(nil, "b") },
			func(s *source) { s.fail(nil, "c") },
			func(s *source) { s.fail(nil, "a") },
		}, []string{outageBegins, outageEnds}},
		{"two outages", []func(*source){
			func(s *source) { s.fail(errOutage, "a") },
			func(s *source) { s.fail(nil, "a") },
			func(s *source) { s.fail(errOutage, "b") },
			func(s *source) { s.fail(nil, "b") },
		}, []string{outageBegins, outageEnds, outageBegins, outageEnds}},
		{"a refusal", []func(*source){
			func(s *source) { s.fail(errRefused, "a") },
			func(s *source) { s.fail(nil, "a") },
		}, []string{refusalBegins, refusalEnds}},
		{"a refusal for another reason", []func(*source){
			func(s *source) { s.fail(errRefused, "a") },
			func(s *source) { s.fail(failed{why: "deleted"}, "a") },
			func(s *source) { s.fail(nil, "a") },
		}, []string{refusalBegins, refusalTurns, refusalEnds}},
		{"an error that says nothing of itself", []func(*source){
			func(s *source) { s.fail(errors.New("denied"), "a") },
			func(s *source) { s.fail(nil, "a") },
		}, []string{refusalBegins, refusalEnds}},
		{"a refusal ends an outage", []func(*source){
			func(s *source) { s.fail(errOutage, "a") },
			func(s *source) { s.fail(errRefused, "a") },
			func(s *source) { s.fail(nil, "a") },
		}, []string{outageBegins, refusalBegins, outageEnds, refusalEnds}},
		{"a refusal outlives an outage", []func(*source){
			func(s *source) { s.fail(errRefused, "a") },
			func(s *source) { s.fail(errOutage, "a", "b", "c") },
			func(s *source) { s.fail(errRefused, "a"); s.fail(nil, "b", "c") },
		}, []string{refusalBegins, outageBegins, outageEnds}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := watching(t.Context(), config.Default().Watch, newSource("a", "b", "c"))
				for _, step := range test.steps {
					step(b.source)
					time.Sleep(10 * time.Minute)
				}
				synctest.Wait()
				got := strings.Split(strings.TrimSpace(b.log.String()), "\n")
				if !slices.Equal(got, test.want) {
					t.Errorf("log:\ngot  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(test.want, "\n     "))
				}
			})
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before func(ctx context.Context)
	}{
		{"between reads", nil},
		{"during a read", func(ctx context.Context) { <-ctx.Done() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				s := newSource("a", "b")
				s.before = test.before
				b := watching(ctx, config.Default().Watch, s)
				time.Sleep(time.Minute)
				synctest.Wait()
				cancel()
				start := time.Now()
				<-b.ended
				if got, want := time.Since(start), time.Duration(0); got != want {
					t.Errorf("returned after %v, want %v", got, want)
				}
				if got := b.log.String(); got != "" {
					t.Errorf("log: got %q, want nothing", got)
				}
			})
		})
	}
}
