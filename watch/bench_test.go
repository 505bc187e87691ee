package watch

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// BenchmarkPoke measures from a poke to the update that it brings, for ten secrets
// whose reads take no time: the cost of the watcher alone.
func BenchmarkPoke(b *testing.B) {
	var names []string
	for i := range 10 {
		names = append(names, strconv.Itoa(i))
	}
	s := newSource(names...)
	ids := named(names...)
	var have secret.Snapshot
	for _, id := range ids {
		have = have.With(id, s.values[id.Name])
	}
	read := func(_ context.Context, id secret.ID) (secret.Value, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.values[id.Name], nil
	}
	w := New(seldom(), 8, ids, read, slog.New(slog.DiscardHandler), metrics.New("test"))
	ctx, cancel := context.WithCancel(b.Context())
	updates := make(chan secret.Snapshot)
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx, have, updates) })
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		s.set("0", value("v"+strconv.Itoa(2+i)))
		began := time.Now()
		w.Poke()
		<-updates
		took = append(took, time.Since(began))
	}
	cancel()
	running.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "ms-to-update(p50)")
	b.ReportMetric(float64(took[len(took)*99/100])/1e6, "ms-to-update(p99)")
	b.ReportMetric(0, "ns/op")
}
