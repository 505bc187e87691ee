package main

import (
	"context"
	"os"

	"github.com/kmsrun/kmsrun/inject"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/seal"
	"github.com/kmsrun/kmsrun/secret"
	"github.com/kmsrun/kmsrun/watch"
)

// prepareForOutage puts in front of the fetches what remembers the age of each secret,
// and the sealed snapshot if there is to be one. The func it returns waits until that
// is written.
func prepareForOutage(ctx context.Context, plan *inject.Plan, ids []secret.ID) (func(), error) {
	reads := watch.NewReads(plan.Config.Watch, plan.Log, plan.Metrics)
	plan.Fetch, plan.FetchFirst = reads.Poll(plan.Fetch), reads.First(plan.FetchFirst)
	if !plan.Once {
		expired := make(chan struct{})
		plan.Expired = expired
		if plan.Config.Watch.MaxStale > 0 {
			plan.Stale = reads.Stale
		}
		go reads.Run(ctx, expired)
	}
	plan.Published = reads.Published
	if plan.Config.Sealed.File == "" {
		return func() {}, nil
	}
	file, err := seal.New(plan.Config, os.LookupEnv, plan.Log)
	if err != nil {
		return nil, err
	}
	source := seal.NewSource(file, ids, reads, plan.Log, plan.Metrics)
	plan.Fetch, plan.FetchFirst = source.Poll(plan.Fetch), source.First(plan.FetchFirst)
	plan.Published = func(snapshot secret.Snapshot) {
		reads.Published(snapshot)
		source.Published(snapshot)
	}
	plan.Sealed = func() *metrics.SealedStatus {
		status := source.Status()
		return &status
	}
	return source.Close, nil
}
