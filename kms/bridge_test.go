package kms

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// sessions is a source of numbered sessions that live for life.
type sessions struct {
	asked atomic.Int64
	life  time.Duration
	fail  atomic.Bool
}

func (s *sessions) ask(context.Context) (Credentials, *Error) {
	n := s.asked.Add(1)
	if s.fail.Load() {
		return Credentials{}, &Error{Kind: Unavailable}
	}
	c := stsToken(fmt.Sprint(n), fmt.Sprint("secret", n), fmt.Sprint("token", n))
	c.expires = time.Now().Add(s.life)
	return c, nil
}

func TestBridgeAsksOnceForMany(t *testing.T) {
	t.Parallel()
	s := &sessions{life: time.Hour}
	var told atomic.Int64
	b := newBridge(s.ask, func(Credentials) { told.Add(1) })
	var group sync.WaitGroup
	for range 64 {
		group.Go(func() {
			if keys, err := b.get(t.Context()); err != nil || keys.id != "1" {
				t.Errorf("got %q, %v, want the first session", keys.id, err)
			}
		})
	}
	group.Wait()
	if got := s.asked.Load(); got != 1 {
		t.Errorf("logins: got %d, want 1", got)
	}
	if got := told.Load(); got != 1 {
		t.Errorf("told: got %d times, want once", got)
	}
}

// TestBridgeKeepsTheLastGood while it is valid, and asks a failing source not again
// and again.
func TestBridgeKeepsTheLastGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sessions{life: 3 * time.Second}
		b := newBridge(s.ask, func(Credentials) {})
		if _, err := b.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.fail.Store(true)
		time.Sleep(2100 * time.Millisecond) // renewal is due, the end is not
		for range 5 {
			if keys, err := b.get(t.Context()); err != nil || keys.id != "1" {
				t.Fatalf("got %q, %v, want the session that is still valid", keys.id, err)
			}
			synctest.Wait()
		}
		if got := s.asked.Load(); got != 2 {
			t.Errorf("logins: got %d, want 2: the failure counts for a second", got)
		}
		time.Sleep(800 * time.Millisecond)
		if _, err := b.get(t.Context()); err == nil || err.Kind != Unavailable {
			t.Errorf("after its end: got %v, want the failure", err)
		}
	})
}

// TestBridgeKeepsWhatHasNoEnd: keys whose files are gone for a while are used on.
func TestBridgeKeepsWhatHasNoEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		b := newBridge(func(context.Context) (Credentials, *Error) {
			asked++
			if asked > 1 {
				return Credentials{}, noCredentials("nothing to read in FILE", "check the file")
			}
			c := AccessKey("1", "secret")
			c.reread = rereadFiles
			return c, nil
		}, func(Credentials) {})
		for range 5 {
			if keys, err := b.get(t.Context()); err != nil || keys.id != "1" {
				t.Fatalf("got %q, %v, want the key", keys.id, err)
			}
			time.Sleep(2 * rereadFiles)
		}
		if asked < 2 {
			t.Errorf("the files were read %d times, want again and again", asked)
		}
	})
}

// TestBridgeDoesNotWaitForARenewal: a source that hangs holds up nobody who has a
// session.
func TestBridgeDoesNotWaitForARenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sessions{life: 3 * time.Minute}
		hang := false
		b := newBridge(func(ctx context.Context) (Credentials, *Error) {
			if hang {
				<-ctx.Done()
			}
			return s.ask(ctx)
		}, func(Credentials) {})
		if _, err := b.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		hang = true
		time.Sleep(130 * time.Second) // renewal is due
		before := time.Now()
		if keys, err := b.get(t.Context()); err != nil || keys.id != "1" || time.Since(before) > 0 {
			t.Errorf("got %q, %v after %s, want the session at once", keys.id, err, time.Since(before))
		}
		time.Sleep(loginTimeout)
	})
}

func TestBridgeReplacesWhatWasRefused(t *testing.T) {
	t.Parallel()
	s := &sessions{life: time.Hour}
	b := newBridge(s.ask, func(Credentials) {})
	first, _ := b.get(t.Context())
	var group sync.WaitGroup
	for range 16 { // all of them were refused with the first
		group.Go(func() {
			if keys, err := b.replace(t.Context(), first); err != nil || keys.id != "2" {
				t.Errorf("got %q, %v, want the second session", keys.id, err)
			}
		})
	}
	group.Wait()
}

func TestBridgeOutlivesAPanic(t *testing.T) {
	t.Parallel()
	b := newBridge(func(context.Context) (Credentials, *Error) { panic(canary) }, func(Credentials) {})
	_, err := b.get(t.Context())
	failure(t, err, Invalid)
}

func TestBridgeWaitEndsWithTheContext(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	b := newBridge(func(ctx context.Context) (Credentials, *Error) {
		close(asked)
		<-ctx.Done()
		return Credentials{}, &Error{Kind: Unavailable}
	}, func(Credentials) {})
	first, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _, _ = b.get(first); close(done) }()
	<-asked
	second, cancelSecond := context.WithCancel(t.Context())
	cancelSecond()
	if _, err := b.get(second); err == nil || err.detail != "cancelled" {
		t.Errorf("got %v, want it cancelled", err)
	}
	cancel()
	<-done
}

// TestKeep renews ahead of the end, with nobody asking.
func TestKeep(t *testing.T) {
	t.Parallel()
	s := &sessions{life: 400 * time.Millisecond}
	b := newBridge(s.ask, func(Credentials) {})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { b.keep(ctx); close(done) }()
	if _, err := b.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); s.asked.Load() < 4; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("logins: got %d, want 4", s.asked.Load())
		}
	}
	cancel()
	<-done
}
