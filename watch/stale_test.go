package watch

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

func TestStale(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ids := named("fresh", "limit", "old", "older")
	last := map[secret.ID]time.Time{
		ids[0]: now, ids[1]: now.Add(-time.Minute), ids[2]: now.Add(-time.Minute - 1), ids[3]: now.Add(-time.Hour),
		named("gone")[0]: now.Add(-time.Hour),
	}
	if got, want := stale(now, ids, last, time.Minute), ids[2:4]; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := stale(now, nil, last, time.Minute); len(got) > 0 {
		t.Errorf("of nothing: got %v", got)
	}
}

// aging is a source whose secrets are polled by Reads, and what is heard of it.
type aging struct {
	*source
	reads   *Reads
	expired chan struct{}
	log     strings.Builder // to be read after synctest.Wait
}

// age polls the source every interval until ctx ends.
func age(ctx context.Context, settings config.Watch, s *source) *aging {
	a := &aging{source: s, expired: make(chan struct{})}
	drop := func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.TimeKey || attr.Key == "after" {
			return slog.Attr{}
		}
		return attr
	}
	a.reads = NewReads(settings, slog.New(slog.NewTextHandler(&a.log, &slog.HandlerOptions{ReplaceAttr: drop})), metrics.New("test"))
	poll := a.reads.Poll(s.fetch)
	first := a.reads.First(func(ctx, _ context.Context, id secret.ID) (secret.Value, error) { return s.fetch(ctx, id) })
	for _, id := range named("a", "b") {
		_, _ = first(ctx, ctx, id)
	}
	a.publish("a", "b")
	go a.reads.Run(ctx, a.expired)
	go func() {
		for tick := time.Tick(settings.Interval); ; {
			select {
			case <-tick:
			case <-ctx.Done():
				return
			}
			for _, id := range named("a", "b") {
				_, _ = poll(ctx, id)
			}
		}
	}()
	return a
}

// publish gives the program secrets, and a pinned one.
func (a *aging) publish(names ...string) {
	snapshot := secret.Snapshot{}.With(secret.ID{Name: "pinned", Version: "v1"}, value("v1"))
	for _, id := range named(names...) {
		snapshot = snapshot.With(id, value("v1"))
	}
	a.reads.Published(snapshot)
}

// lines is what was logged since it was last asked.
func (a *aging) lines() []string {
	synctest.Wait()
	text := strings.TrimSpace(a.log.String())
	a.log.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// TestStaleness: one line when it begins and one when it ends, however many secrets
// and whatever the reason.
func TestStaleness(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := age(t.Context(), config.Default().Watch, newSource("a", "b"))
		after := func(d time.Duration, stale bool, want ...string) {
			t.Helper()
			time.Sleep(d)
			if got := a.lines(); !slices.Equal(got, want) {
				t.Errorf("log: got %q, want %q", got, want)
			}
			if got := a.reads.Stale(); got != stale {
				t.Errorf("stale: got %t, want %t", got, stale)
			}
		}
		const begins = `level=INFO msg="secrets are stale: they have not been read for too long" secrets=[kms://a] limit=3m0s then="keep serving them"`
		after(time.Hour+time.Second/2, false)
		a.fail(errOutage, "a")
		after(3*time.Minute-time.Second, false)
		after(2*time.Second, true, begins)
		a.fail(errRefused, "b") // joins them: told by the metrics
		after(time.Hour, true)
		a.fail(nil, "a")
		after(time.Hour, true)
		a.fail(nil, "b")
		after(time.Hour, false, `level=INFO msg="no secret is stale any more"`)
		select {
		case <-a.expired:
			t.Error("the default does not serve for ever")
		default:
		}
	})
}

// TestExpires: on_stale: exit.
func TestExpires(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		settings := config.Default().Watch
		settings.MaxStale, settings.OnStale = time.Hour, "exit"
		a := age(t.Context(), settings, newSource("a", "b"))
		time.Sleep(10 * time.Hour)
		a.fail(errOutage, "b")
		start := time.Now()
		<-a.expired
		if got := time.Since(start); got < time.Hour-settings.Interval || got > time.Hour+2*time.Second {
			t.Errorf("expired after %s, want an hour after the last read", got)
		}
		if got := a.lines(); len(got) != 1 || !strings.Contains(got[0], "secrets=[kms://b] limit=1h0m0s then=exit") {
			t.Errorf("log: got %q", got)
		}
	})
}

// TestNotDeclaredAnyMore: what the program no longer has makes nothing stale.
func TestNotDeclaredAnyMore(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := age(t.Context(), config.Default().Watch, newSource("a", "b"))
		a.fail(errRefused, "b")
		time.Sleep(time.Hour)
		if !a.reads.Stale() {
			t.Error("with b: got fresh, want stale")
		}
		a.publish("a")
		time.Sleep(time.Minute)
		if a.reads.Stale() {
			t.Error("without b: got stale, want fresh")
		}
	})
}

func TestReadsOfTheStart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := age(t.Context(), config.Default().Watch, newSource("a", "b"))
		if got := a.reads.Last(named("a")[0]); !got.Equal(time.Now()) {
			t.Errorf("last: got %s, want now", got)
		}
		old := time.Now().Add(-24 * time.Hour) // as the sealed snapshot tells of its values
		a.reads.Note(named("a")[0], old)
		if got := a.reads.Last(named("a")[0]); !got.Equal(old) {
			t.Errorf("last: got %s, want %s", got, old)
		}
		time.Sleep(2 * time.Second)
		if got := a.lines(); len(got) != 1 || !a.reads.Stale() {
			t.Errorf("old from the start: got %q", got)
		}
	})
}

func TestFew(t *testing.T) {
	t.Parallel()
	got := few(named("a", "b", "c", "d", "e", "f", "g", "h"))
	if want := []string{"kms://a", "kms://b", "kms://c", "kms://d", "kms://e", "kms://f", "and 2 more"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// placed is an outage that tells its place.
type placed struct {
	failed
	place string
}

func (p placed) Place() string { return p.place }

// TestTwoPlaces: one warning and one line of the end for each place that is out of
// reach, though the one hides the other.
func TestTwoPlaces(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), config.Default().Watch, newSource("a", "b"))
		for _, step := range []func(){
			func() { b.fail(placed{errOutage, "KMS"}, "a", "b") },
			func() { b.fail(placed{errOutage, "STS"}, "a", "b") }, // the session has ended, too
			func() { b.fail(placed{errOutage, "KMS"}, "a", "b") },
			func() { b.fail(nil, "a") },
			func() { b.fail(nil, "b") },
		} {
			step()
			time.Sleep(10 * time.Minute)
		}
		synctest.Wait()
		begins, ends := strings.ReplaceAll(outageBegins, "place=KMS", "place=STS"), strings.ReplaceAll(outageEnds, "place=KMS", "place=STS")
		want := []string{outageBegins, begins, outageEnds, ends}
		if got := strings.Split(strings.TrimSpace(b.log.String()), "\n"); !slices.Equal(got, want) {
			t.Errorf("log:\ngot  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	})
}

// common is a refusal that would hit any secret.
type common struct {
	failed
	cause string
}

func (c common) Cause() string { return c.cause }

// TestOneCause: a login that is refused is told once, however many secrets wait behind
// it, and is no outage.
func TestOneCause(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := watching(t.Context(), config.Default().Watch, newSource("a", "b", "c"))
		for _, step := range []func(){
			func() { b.fail(common{failed{why: "expired"}, "login"}, "a", "b"); b.fail(common{errRefused, ""}, "c") },
			func() { b.fail(nil, "a") },
			func() { b.fail(nil, "b") },
			func() { b.fail(nil, "c") },
		} {
			step()
			time.Sleep(10 * time.Minute)
		}
		synctest.Wait()
		want := []string{
			`level=WARN msg="secrets can't be read; keeping their present values and trying on" reason=expired err=expired`,
			strings.ReplaceAll(refusalBegins, "kms://a", "kms://c"),
			`level=INFO msg="these secrets can be read again"`,
			strings.ReplaceAll(refusalEnds, "kms://a", "kms://c"),
		}
		got := strings.Split(strings.TrimSpace(b.log.String()), "\n")
		slices.Sort(got[:min(2, len(got))]) // the reads of one round come in any order
		slices.Sort(want[:2])
		if !slices.Equal(got, want) {
			t.Errorf("log:\ngot  %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	})
}
