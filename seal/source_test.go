package seal

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
	"github.com/kmsrun/kmsrun/watch"
)

// failure is what a KMS may say.
type failure struct{ outage bool }

func (failure) Error() string     { return "no" }
func (f failure) Outage() bool    { return f.outage }
func (f failure) Throttled() bool { return false }
func (failure) Reason() string    { return "no" }

// run is a kmsrun as the source sees it, whose KMS gives what errs do not forbid.
type run struct {
	*Source
	reads *watch.Reads
	kms   secret.Snapshot
	errs  map[secret.ID]error
	log   lines
}

// lines is a log that one writes while another reads: synctest orders their time, and
// not their memory.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// take gives what was written since the last time.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

var both = []secret.ID{id("a"), id("b")}

func live() secret.Snapshot {
	return secret.Snapshot{}.With(id("a"), value("a1", "v1")).With(id("b"), value("b1", "v1"))
}

func newRun(t *testing.T, c config.Config) *run {
	t.Helper()
	r := &run{kms: live(), errs: map[secret.ID]error{}}
	drop := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "file" {
			return slog.Attr{}
		}
		return a
	}
	log := slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{ReplaceAttr: drop}))
	m := metrics.New("test")
	r.reads = watch.NewReads(c.Watch, log, m)
	r.Source = NewSource(newFile(t, c), both, r.reads, log, m)
	t.Cleanup(r.Close)
	return r
}

// start resolves as a start does; patience is like that of kms.Client.
func (r *run) start(t *testing.T, timeout time.Duration) (secret.Snapshot, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	patient := func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		if err := r.errs[id]; err != nil {
			if watch.Outage(err) {
				select {
				case <-patience.Done():
				case <-ctx.Done():
				}
			}
			return secret.Value{}, err
		}
		v, _ := r.kms.Get(id)
		return v, nil
	}
	return watch.Resolve(ctx, both, 8, r.First(r.reads.First(patient)))
}

func (r *run) poll(t *testing.T, ids ...secret.ID) {
	t.Helper()
	poll := r.Poll(r.reads.Poll(func(_ context.Context, id secret.ID) (secret.Value, error) {
		v, _ := r.kms.Get(id)
		return v, r.errs[id]
	}))
	for _, id := range ids {
		_, _ = poll(t.Context(), id)
	}
}

func (r *run) lines() []string {
	synctest.Wait()
	text := strings.TrimSpace(r.log.take())
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// inBubble runs a test on a clock of its own, with a declaration.
func inBubble(t *testing.T, f func(t *testing.T, c config.Config)) {
	t.Helper()
	t.Parallel()
	c := declared(t)
	synctest.Test(t, func(t *testing.T) { f(t, c) })
}

// sealNow leaves a sealed file behind, as a run in good times does.
func sealNow(t *testing.T, c config.Config) {
	t.Helper()
	r := newRun(t, c)
	if _, err := r.start(t, time.Minute); err != nil {
		t.Fatal(err)
	}
	r.Published(r.kms)
	r.Close()
}

func TestStandsInForAnOutage(t *testing.T) {
	inBubble(t, func(t *testing.T, c config.Config) {
		sealNow(t, c)
		sealedAt := time.Now()
		time.Sleep(time.Hour)
		r := newRun(t, c)
		r.kms = r.kms.With(id("b"), value("b2", "v2")) // rotated meanwhile
		r.errs[id("a")], r.errs[id("b")] = failure{outage: true}, failure{outage: true}
		begun := time.Now()
		snapshot, err := r.start(t, time.Minute)
		if err != nil || len(snapshot.Changed(live())) > 0 || len(snapshot.IDs()) != 2 {
			t.Fatalf("got %v, %v; want what was sealed", snapshot.IDs(), err)
		}
		if got := time.Since(begun); got != time.Minute {
			t.Errorf("started after %s, want start_timeout", got)
		}
		if got := r.reads.Last(id("a")); !got.Equal(sealedAt) {
			t.Errorf("last read: got %s, want when it was sealed, %s", got, sealedAt)
		}
		want := []string{`level=WARN msg="starting from the sealed snapshot, since KMS did not answer in time: these values may be old; live ones follow when it answers" age=1h1m0s err=no`}
		if got := r.lines(); !slices.Equal(got, want) {
			t.Errorf("log: got %q, want %q", got, want)
		}
		if got := r.Status().Serving; !slices.Equal(got, []string{"kms://a", "kms://b"}) {
			t.Errorf("serving: got %v", got)
		}
		clear(r.errs)
		r.poll(t, id("a"))
		if got := r.Status().Serving; !slices.Equal(got, []string{"kms://b"}) {
			t.Errorf("serving, with one read: got %v", got)
		}
		r.poll(t, id("b"), id("a"))
		want = []string{`level=INFO msg="every secret has been read from KMS again: nothing is left of the sealed snapshot"`}
		if got := r.lines(); !slices.Equal(got, want) || len(r.Status().Serving) > 0 {
			t.Errorf("log: got %q, want %q; serving %v", got, want, r.Status().Serving)
		}
	})
}

// TestMixesInWhatIsLive: what KMS gives is newer than the file.
func TestMixesInWhatIsLive(t *testing.T) {
	inBubble(t, func(t *testing.T, c config.Config) {
		sealNow(t, c)
		r := newRun(t, c)
		r.kms = r.kms.With(id("a"), value("a2", "v2"))
		r.errs[id("b")] = failure{outage: true}
		snapshot, err := r.start(t, time.Minute)
		if got := snapshot.Changed(live()); err != nil || !slices.Equal(got, []secret.ID{id("a")}) {
			t.Errorf("other than sealed: got %v, %v; want a", got, err)
		}
	})
}

// TestNeverForARefusal: a file must not let in whom KMS has shut out, and a start that
// somebody ends does not open it.
func TestNeverForARefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, c config.Config) {
		sealNow(t, c)
		r := newRun(t, c)
		r.errs[id("a")] = failure{}
		begun := time.Now()
		_, err := r.start(t, time.Minute)
		if err == nil || watch.Outage(err) {
			t.Errorf("a refusal: got %v, want it", err)
		}
		r.errs[id("b")] = failure{outage: true}
		if _, err = r.start(t, time.Minute); err == nil || time.Since(begun) > 0 {
			t.Errorf("a refusal and an outage: got %v after %s, want it at once", err, time.Since(begun))
		}
		r.errs[id("a")] = failure{outage: true}
		late, tooLate := context.WithDeadline(t.Context(), time.Now())
		defer tooLate()
		if _, err := r.First(func(context.Context, context.Context, secret.ID) (secret.Value, error) {
			return secret.Value{}, failure{}
		})(late, late, id("a")); err == nil {
			t.Error("a refusal at the last moment: got a value")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.First(func(context.Context, context.Context, secret.ID) (secret.Value, error) {
			return secret.Value{}, failure{outage: true}
		})(ctx, ctx, id("a")); err == nil {
			t.Error("an interrupted start: got a value")
		}
		if got := r.lines(); len(got) > 0 {
			t.Errorf("log: got %q, want nothing: the file was not opened", got)
		}
	})
}

// TestUnusable: the outage stays the failure, and one line says what is wrong with the
// file.
func TestUnusable(t *testing.T) {
	inBubble(t, func(t *testing.T, c config.Config) {
		sealNow(t, c)
		time.Sleep(25 * time.Hour)
		r := newRun(t, c)
		r.errs[id("a")], r.errs[id("b")] = failure{outage: true}, failure{outage: true}
		_, err := r.start(t, time.Minute)
		if !watch.Outage(err) {
			t.Errorf("got %v, want the outage", err)
		}
		want := []string{`level=ERROR msg="the sealed snapshot can't stand in for KMS" err="too old: kms://a was read 25h1m0s ago, and sealed.max_age (or watch.max_stale) allows 24h0m0s"`}
		if got := r.lines(); !slices.Equal(got, want) {
			t.Errorf("log: got %q, want %q", got, want)
		}
	})
}

// TestStaysYoung: what does not change for a month can still be used when KMS goes away
// after it, but an outage makes it old, restarts or not.
func TestStaysYoung(t *testing.T) {
	inBubble(t, func(t *testing.T, c config.Config) {
		r := newRun(t, c)
		snapshot, err := r.start(t, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		r.Published(snapshot)
		writes := map[time.Time]bool{}
		for range 7 * 24 {
			time.Sleep(time.Hour)
			r.poll(t, both...)
			writes[r.Status().Written] = true
		}
		if n := len(writes); n < 7*3 || n > 7*5 {
			t.Errorf("writes in 7 days: got %d, want about 4 a day", n)
		}
		r.errs[id("a")], r.errs[id("b")] = failure{outage: true}, failure{outage: true}
		begun := time.Now()
		for time.Since(begun) < 16*time.Hour {
			time.Sleep(4 * time.Hour)
			r.Close()
			restarted := newRun(t, c)
			restarted.errs = r.errs
			if snapshot, err = restarted.start(t, time.Minute); err != nil {
				t.Fatalf("after %s: %v", time.Since(begun), err)
			}
			r = restarted
			r.Published(snapshot)
		}
		time.Sleep(9 * time.Hour)
		r.Close()
		last := newRun(t, c)
		last.errs = r.errs
		if _, err := last.start(t, time.Minute); err == nil {
			t.Errorf("after %s: got a start, want the file too old", time.Since(begun))
		}
	})
}

// TestCannotWrite: one warning, and one line when it works again, which is tried by
// itself.
func TestCannotWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, c config.Config) {
		dir := filepath.Dir(c.Sealed.File)
		r := newRun(t, c)
		snapshot, err := r.start(t, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		r.Published(snapshot)
		synctest.Wait()
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		r.Published(snapshot.With(id("a"), value("a2", "v2")))
		time.Sleep(time.Minute)
		got := r.lines()
		if len(got) != 1 || !strings.Contains(got[0], `level=WARN msg="the sealed snapshot can't be written; the last one stays, and gets older"`) {
			t.Errorf("log: got %q", got)
		}
		if err := os.Rename(dir+".away", dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got, want := r.lines(), []string{`level=INFO msg="the sealed snapshot is written again"`}; !slices.Equal(got, want) {
			t.Errorf("log: got %q, want %q", got, want)
		}
		contents, err := newFile(t, c).Open(time.Now(), both)
		if v, _ := contents.Snapshot.Get(id("a")); err != nil || v.Version != "v2" {
			t.Errorf("got version %q, %v; want v2", v.Version, err)
		}
	})
}

// TestNewestWins: whoever publishes never waits for a disk.
func TestNewestWins(t *testing.T) {
	t.Parallel()
	s := &Source{published: make(chan secret.Snapshot, 1)}
	for _, version := range []string{"v1", "v2", "v3"} {
		s.Published(secret.Snapshot{}.With(id("a"), value("x", version)))
	}
	got := <-s.published
	if v, _ := got.Get(id("a")); v.Version != "v3" {
		t.Errorf("got %s, want v3", v.Version)
	}
}
