package watch

import (
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

func TestTry(t *testing.T) {
	for _, n := range []int{10, 45, 50, 100, 200,  1000, 2700, 10000} {
	for seed := range uint64(3) {
		f := fleet{processes: n, secrets: 10, settings: config.Default().Watch, last: time.Duration((n*10+449)/450)*2*time.Second, seed: seed}
		r := simulate(f)
		ideal := (n*10+449)/450
		t.Logf("%d: bound %v p50 %v max %v throttled %d %v", n, float64(ideal)*1.5, r.starts[n/2], r.starts[n-1], r.throttled, r.calls[0])
	}}
}
