package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/kmsrun/kmsrun/secret"
)

var (
	errOutage  = failed{outage: true, why: "unavailable"}
	errRefused = failed{why: "denied"}
)

// failed is a Failure.
type failed struct {
	outage bool
	why    string
}

func (f failed) Error() string   { return f.why }
func (f failed) Outage() bool    { return f.outage }
func (f failed) Throttled() bool { return f.why == "throttled" }
func (f failed) Reason() string  { return f.why }

func named(names ...string) []secret.ID {
	var ids []secret.ID
	for _, name := range names {
		ids = append(ids, secret.ID{Name: name, Stage: secret.StageCurrent})
	}
	return ids
}

func value(version string) secret.Value {
	return secret.NewValue([]byte("data of "+version), version, nil, time.Time{})
}

// versions lists a snapshot as "a=v1".
func versions(s secret.Snapshot) []string {
	var list []string
	for _, id := range s.IDs() {
		v, _ := s.Get(id)
		list = append(list, id.Name+"="+v.Version)
	}
	return list
}

func TestOutage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("x"), false},
		{errRefused, false},
		{errOutage, true},
		{fmt.Errorf("x: %w", errOutage), true},
	} {
		if got := Outage(test.err); got != test.want {
			t.Errorf("%v: got %v, want %v", test.err, got, test.want)
		}
	}
}

func TestResolveConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int64
		ids := named("a", "b", "c", "d", "e", "f", "g")
		start := time.Now()
		snapshot, err := Resolve(t.Context(), ids, 3, func(context.Context, context.Context, secret.ID) (secret.Value, error) {
			now := running.Add(1)
			defer running.Add(-1)
			for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); {
				seen = most.Load()
			}
			time.Sleep(time.Second)
			return value("v1"), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := snapshot.IDs(), ids; !slices.Equal(got, want) {
			t.Errorf("read: got %v, want %v", got, want)
		}
		if got, want := most.Load(), int64(3); got != want {
			t.Errorf("at once: got %d, want %d", got, want)
		}
		if got, want := time.Since(start), 3*time.Second; got != want {
			t.Errorf("took: got %v, want %v", got, want)
		}
	})
}

// plan is how one secret answers: with an error at first, with a value from some
// moment on.
type plan struct {
	err   error
	after time.Duration // 0 with an error: for ever
}

// patiently does as kms.Client.GetPatiently does, by plan.
func patiently(plans map[string]plan) PatientFetch {
	return func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		p := plans[id.Name]
		if p.err != nil && !Outage(p.err) {
			time.Sleep(p.after)
			return secret.Value{}, p.err
		}
		var mended <-chan time.Time
		if p.err == nil || p.after > 0 {
			mended = time.After(p.after)
		}
		select {
		case <-mended:
			return value("v1"), nil
		case <-patience.Done():
			return secret.Value{}, p.err
		case <-ctx.Done():
			return secret.Value{}, p.err
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		plans map[string]plan
		want  []string      // read
		errs  []error       // failures, in the order of the secrets
		took  time.Duration // until it returned
	}{
		{"all well", map[string]plan{"a": {}, "b": {}, "c": {}}, []string{"a=v1", "b=v1", "c=v1"}, nil, 0},
		{
			"an outage is waited for",
			map[string]plan{"a": {}, "b": {errOutage, 30 * time.Second}, "c": {errOutage, 10 * time.Second}},
			[]string{"a=v1", "b=v1", "c=v1"},
			nil, 30 * time.Second,
		},
		{
			"all failures come together",
			map[string]plan{"a": {errRefused, time.Second}, "b": {}, "c": {errRefused, 5 * time.Second}},
			[]string{"b=v1"},
			[]error{errRefused, errRefused},
			5 * time.Second,
		},
		{
			"a refusal ends the patience of the others",
			map[string]plan{"a": {errOutage, 0}, "b": {errRefused, 3 * time.Second}, "c": {errOutage, time.Second}},
			[]string{"c=v1"},
			[]error{errOutage, errRefused},
			3 * time.Second,
		},
		{
			"an outage until the context ends",
			map[string]plan{"a": {errOutage, 0}, "b": {}, "c": {}},
			[]string{"b=v1", "c=v1"},
			[]error{errOutage},
			time.Minute,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				snapshot, err := Resolve(ctx, named("a", "b", "c"), 8, patiently(test.plans))
				if got := versions(snapshot); !slices.Equal(got, test.want) {
					t.Errorf("read: got %v, want %v", got, test.want)
				}
				var got []error
				if all, ok := errors.AsType[*multierror.Error](err); ok {
					got = all.Errors
				} else if err != nil {
					t.Errorf("error: got %T, want *multierror.Error", err)
				}
				if !slices.Equal(got, test.errs) {
					t.Errorf("failures: got %v, want %v", got, test.errs)
				}
				if got := time.Since(start); got != test.took {
					t.Errorf("took: got %v, want %v", got, test.took)
				}
			})
		})
	}
}
