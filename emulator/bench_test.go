package emulator

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// benchmarked is an emulator with n secrets, and a func that makes a signed GET to an address.
func benchmarked(b *testing.B, n int) (*Emulator, func(address, action string, pairs ...string) *http.Request) {
	b.Helper()
	e := New(Config{})
	for i := range n {
		if err := e.Put(fmt.Sprintf("app/%05d", i), "v1", []byte(`{"AccountName":"app","AccountPassword":"s3cr3t"}`)); err != nil {
			b.Fatal(err)
		}
	}
	calls := &bench{Emulator: e}
	calls.clock.Store(time.Now().UnixNano())
	return e, func(address, action string, pairs ...string) *http.Request {
		p := calls.signedFor(http.MethodGet, action, given(pairs...))
		r, err := http.NewRequest(http.MethodGet, address+"/?"+form(p), http.NoBody)
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
}

// Over loopback, client included: what a test suite sees, per core with -cpu 1.
func BenchmarkGetSecretValueHTTP(b *testing.B) {
	e, request := benchmarked(b, 100)
	server := httptest.NewServer(e)
	b.Cleanup(server.Close)
	for b.Loop() {
		response, err := server.Client().Do(request(server.URL, "GetSecretValue", "SecretName", "app/00042"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("answer = %s, %v", response.Status, err)
		}
		_ = response.Body.Close()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// The handler alone, with the making of the request.
func BenchmarkGetSecretValueHandler(b *testing.B) {
	e, request := benchmarked(b, 100)
	b.ReportAllocs()
	for b.Loop() {
		r := request("http://kms.test", "GetSecretValue", "SecretName", "app/00042")
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatalf("answer = %d %s", w.Code, w.Body)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// The making of a request, to be taken off the two above.
func BenchmarkRequestOnly(b *testing.B) {
	_, request := benchmarked(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		_ = request("http://kms.test", "GetSecretValue", "SecretName", "app/00042")
	}
}

// All of 10,000 secrets, a hundred a page.
func BenchmarkListSecrets(b *testing.B) {
	const secrets, size = 10_000, 100
	e, request := benchmarked(b, secrets)
	for b.Loop() {
		for number := range secrets / size {
			w := httptest.NewRecorder()
			e.ServeHTTP(w, request("http://kms.test", "ListSecrets", "PageNumber", fmt.Sprint(number+1), "PageSize", fmt.Sprint(size)))
			if w.Code != http.StatusOK {
				b.Fatalf("answer = %d %s", w.Code, w.Body)
			}
		}
	}
}
