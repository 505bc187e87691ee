package inject

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"
)

// TestGoroutines: restarts leave none behind. Alone, since it counts all of the
// process's.
func TestGoroutines(t *testing.T) { //nolint:paralleltest // it counts what others would start
	restarts := 20
	if n, err := strconv.Atoi(os.Getenv("KMSRUN_TEST_SOAK")); err == nil {
		restarts = n
	}
	v := &vault{}
	v.put("a", "v0", "0")
	r := prepare(t, v, "watch: {interval: 1h, debounce: 0s}\non_change: {min_interval: 0s, max_per_hour: 0}\nenv: {A: kms://a}\n"+
		"child: {pre_stop: [/bin/true]}", `trap 'exit 0' TERM; echo "start $A" >$DIR/said; while :; do sleep 0.01; done`)
	go func() {
		r.status, r.err = r.exec.Run()
		close(r.ended)
	}()
	r.says("start 0")
	early := 0
	for n := 1; n <= restarts; n++ {
		v.put("a", fmt.Sprintf("v%d", n), strconv.Itoa(n))
		r.exec.State().Refresh()
		r.says(fmt.Sprintf("start %d", n))
		if n == 10 {
			early = runtime.NumGoroutine()
		}
	}
	r.await("the goroutines of old to end", func() bool { return runtime.NumGoroutine() <= early+1 })
	t.Logf("%d restarts: %d goroutines early, %d late", restarts, early, runtime.NumGoroutine())
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Error(err)
	}
}
