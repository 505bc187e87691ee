// Package watch decides when secrets are fetched: all at once before the start,
// and one by one afterwards, until a new snapshot is news. It knows nothing of the
// service behind a fetch, nor of what is done with a snapshot.
package watch

import (
	"context"
	"errors"

	"github.com/hashicorp/go-multierror"
	"golang.org/x/sync/errgroup"

	"github.com/kmsrun/kmsrun/secret"
)

// Fetch reads one value, once.
type Fetch func(ctx context.Context, id secret.ID) (secret.Value, error)

// PatientFetch reads one value, and tries again after an outage until patience or
// ctx ends.
type PatientFetch func(ctx, patience context.Context, id secret.ID) (secret.Value, error)

// Failure is what an error of a fetch may say of itself. One that says nothing
// counts as a refusal.
type Failure interface {
	error
	// Outage tells whether the service or the way to it is at fault, not the request.
	Outage() bool
	// Throttled tells whether a quota was used up, which is an outage too.
	Throttled() bool
	// Reason is the kind of failure in a word or two, the same for the same cause.
	Reason() string
}

// Outage tells whether err is a failure that time may mend.
func Outage(err error) bool {
	f, ok := errors.AsType[Failure](err)
	return ok && f.Outage()
}

// Absent tells whether err says that there is no such secret.
func Absent(err error) bool {
	f, ok := errors.AsType[interface {
		error
		Absent() bool
	}](err)
	return ok && f.Absent()
}

// OrAbsent is fetch, for which a secret that is not there is a value too where nobody
// must have it.
func OrAbsent(fetch PatientFetch, dispensable func(secret.ID) bool) PatientFetch {
	return func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		value, err := fetch(ctx, patience, id)
		if err != nil && Absent(err) && dispensable(id) {
			return secret.Value{Absent: true}, nil
		}
		return value, err
	}
}

func reason(err error) string {
	if f, ok := errors.AsType[Failure](err); ok {
		return f.Reason()
	}
	return "failed"
}

// Resolve fetches all ids, at most concurrency at once. It returns what could be
// read, and every failure in one *multierror.Error. One failure that waiting
// can't mend ends the waiting for all.
func Resolve(ctx context.Context, ids []secret.ID, concurrency int, fetch PatientFetch) (secret.Snapshot, error) {
	patience, giveUp := context.WithCancel(ctx)
	defer giveUp()
	values, errs := fetchAll(ctx, ids, concurrency, func(ctx context.Context, id secret.ID) (secret.Value, error) {
		value, err := fetch(ctx, patience, id)
		if err != nil && !Outage(err) {
			giveUp()
		}
		return value, err
	})
	var snapshot secret.Snapshot
	var failures *multierror.Error
	for i, id := range ids {
		if errs[i] != nil {
			failures = multierror.Append(failures, errs[i])
			continue
		}
		snapshot = snapshot.With(id, values[i])
	}
	return snapshot, failures.ErrorOrNil()
}

// fetchAll fetches ids side by side; results and errors stand at the ids' indexes.
func fetchAll(ctx context.Context, ids []secret.ID, concurrency int, fetch Fetch) ([]secret.Value, []error) {
	values, errs := make([]secret.Value, len(ids)), make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(concurrency)
	for i, id := range ids {
		group.Go(func() error {
			values[i], errs[i] = fetch(ctx, id)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return values, errs
}
