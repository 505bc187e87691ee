package watch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/kms"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

// meter is a KMS with its quota. Its secrets are managed: version n of a secret is
// the one after the first n of its rotations.
type meter struct {
	mu          sync.Mutex
	start       time.Time
	rotations   map[string][]time.Time
	second      int
	taken, most int
	last        map[string]time.Time // good read of each secret
	gap         time.Duration
}

func (m *meter) fetch(ctx context.Context, id secret.ID) (secret.Value, error) {
	time.Sleep(latency)
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if second := int(now.Sub(m.start) / time.Second); second != m.second {
		m.second, m.taken = second, 0
	}
	if m.taken >= quota {
		return secret.Value{}, failed{outage: true, why: "throttled"}
	}
	m.taken++
	m.most = max(m.most, m.taken)
	if last, ok := m.last[id.Name]; ok {
		m.gap = max(m.gap, now.Sub(last))
	}
	m.last[id.Name] = now
	n := 0
	for n < len(m.rotations[id.Name]) && !m.rotations[id.Name][n].After(now) {
		n++
	}
	v := value("v" + strconv.Itoa(n))
	if n < len(m.rotations[id.Name]) {
		v = v.WithNextRotation(m.rotations[id.Name][n])
	}
	return v, ctx.Err()
}

// patiently is fetch as kms.Client.GetPatiently tries it: throttled reads of one
// process take turns.
func (m *meter) patiently() PatientFetch {
	turn := make(chan int, 1)
	turn <- 0
	return func(ctx, _ context.Context, id secret.ID) (secret.Value, error) {
		v, err := m.fetch(ctx, id)
		if err == nil {
			return v, nil
		}
		var try int
		select {
		case try = <-turn:
		default:
			try = <-turn
			v, err = m.fetch(ctx, id) // who was before us has got through
		}
		defer func() { turn <- try }()
		for ; err != nil; try++ {
			time.Sleep(kms.Backoff(try, 0, rand.N[time.Duration]))
			v, err = m.fetch(ctx, id)
		}
		return v, nil
	}
}

// TestRealFleet runs the watcher itself, goroutines and all, for 100 processes and
// an hour, against what the simulation promises.
func TestRealFleet(t *testing.T) {
	const processes, secrets = 100, 10
	inBubble(t, func(t *testing.T) {
		m := &meter{start: time.Now(), rotations: map[string][]time.Time{}, last: map[string]time.Time{}}
		for p := range processes { // one of each process's secrets rotates, and says when
			name := strconv.Itoa(p) + "/0"
			m.rotations[name] = append(m.rotations[name], m.start.Add(5*time.Minute+rand.N(50*time.Minute)))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var mu sync.Mutex
		var slowestStart, slowest time.Duration
		delivered := 0
		var fleet sync.WaitGroup
		for p := range processes {
			fleet.Go(func() {
				var ids []secret.ID
				for k := range secrets {
					ids = append(ids, named(strconv.Itoa(p)+"/"+strconv.Itoa(k))...)
				}
				snapshot, err := Resolve(ctx, ids, concurrency, m.patiently())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				slowestStart = max(slowestStart, time.Since(m.start))
				mu.Unlock()
				w := New(config.Default().Watch, concurrency, ids, m.fetch, slog.New(slog.DiscardHandler), metrics.New("test"))
				updates := make(chan secret.Snapshot)
				fleet.Go(func() { w.Run(ctx, snapshot, updates) })
				for {
					select {
					case <-ctx.Done():
						return
					case <-updates:
						mu.Lock()
						delivered++
						slowest = max(slowest, time.Since(m.rotations[strconv.Itoa(p)+"/0"][0]))
						mu.Unlock()
					}
				}
			})
		}
		fleet.Wait()
		synctest.Wait()
		if got, want := m.most, quota; got > want {
			t.Errorf("accepted in one second: got %d, want %d or fewer", got, want)
		}
		if got, want := slowestStart, 4500*time.Millisecond; got > want {
			t.Errorf("the last start: got %v, want within %v", got, want)
		}
		if got, want := delivered, processes; got != want {
			t.Errorf("deliveries: got %d, want %d: one for each rotation", got, want)
		}
		if got, want := slowest, 8*time.Second; got > want {
			t.Errorf("rotation to delivery: got %v, want within %v", got, want)
		}
		// A poll that falls into the rush of the start is throttled, some more than once.
		if got, want := m.gap, 8*config.Default().Watch.Interval; got > want {
			t.Errorf("longest without a read: got %v, want at most %v", got, want)
		}
	})
}
