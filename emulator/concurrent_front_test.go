package emulator

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// For the race detector: calls, sessions and every control endpoint at the same time.
func TestFrontAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Emulator = New(Config{Now: b.now, RealQuotas: true, ECSRole: "app"})
	b.create()
	var wg sync.WaitGroup
	for _, work := range []func(){
		func() { b.call("GetSecretValue", "SecretName", "s") },
		func() { b.sts(theRoot, "AssumeRole", "RoleArn", appRole, "RoleSessionName", "x1") },
		func() { b.control(http.MethodPost, "clock", `{"advance":"1s"}`) },
		func() { b.control(http.MethodPost, "faults", `[{"kind":"throttle","rate":0.5,"seed":1}]`) },
		func() { b.control(http.MethodDelete, "faults", "") },
		func() { b.control(http.MethodGet, "requests", "") },
		func() { b.control(http.MethodDelete, "requests", "") },
		func() { _ = b.Fault(Fault{Kind: kindLatency, Duration: Duration(time.Microsecond), Times: 1}) },
		func() {
			b.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/credentials/app", nil))
		},
	} {
		wg.Go(func() {
			for range 50 {
				work()
			}
		})
	}
	wg.Wait()
	b.ClearFaults()
	if err := b.Advance(time.Second); err != nil {
		t.Fatal(err)
	}
	b.must("GetSecretValue", "SecretName", "s")
}
