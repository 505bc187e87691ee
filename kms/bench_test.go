package kms

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// processTime is the CPU that this process has used: client and server.
func processTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkMany reads secrets from a TLS server that takes 5 ms for each, with new
// connections each time as a start has them, beside a floor of plain net/http.
func BenchmarkMany(b *testing.B) {
	for _, count := range []int{1, 10, 100, 1000} {
		server, settings, _ := secureServer(b, 5*time.Millisecond)
		name := fmt.Sprintf("secrets=%d/", count)
		b.Run(name+"floor", func(b *testing.B) {
			began := processTime(b)
			for b.Loop() {
				transport := server.Client().Transport.(*http.Transport).Clone()
				transport.MaxConnsPerHost, transport.MaxIdleConnsPerHost = settings.Concurrency, settings.Concurrency
				floorAll(b, &http.Client{Transport: transport}, server.URL, count, settings.Concurrency)
				transport.CloseIdleConnections()
			}
			b.ReportMetric(float64((processTime(b)-began).Microseconds())/float64(b.N*count), "cpu-µs/secret")
		})
		b.Run(name+"kms", func(b *testing.B) {
			began := processTime(b)
			for b.Loop() {
				c, err := New(settings, Fixed(AccessKey(keyID, keySecret)), "", func(Call) {})
				if err != nil {
					b.Fatal(err)
				}
				fetchAll(b, c, count)
				c.closeIdle()
			}
			b.ReportMetric(float64((processTime(b)-began).Microseconds())/float64(b.N*count), "cpu-µs/secret")
		})
	}
}

// floorAll is fetchAll without an SDK.
func floorAll(b *testing.B, client *http.Client, url string, count, workers int) {
	turns := make(chan struct{}, workers)
	var group sync.WaitGroup
	for i := range count {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			response, err := client.Post(fmt.Sprint(url, "/?SecretName=s", i), "", nil)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		})
	}
	group.Wait()
}

func BenchmarkGet(b *testing.B) {
	server := serve(b, answering(http.StatusOK, goodAnswer))
	c := newClient(b, settingsFor(server.URL), AccessKey(keyID, keySecret))
	b.ReportAllocs()
	began := processTime(b)
	defer func() { b.ReportMetric(float64((processTime(b)-began).Microseconds())/float64(b.N), "cpu-µs/op") }()
	for b.Loop() {
		if _, err := c.Get(b.Context(), current); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFloor is what the same exchange costs without an SDK.
func BenchmarkFloor(b *testing.B) {
	server := serve(b, answering(http.StatusOK, goodAnswer))
	b.ReportAllocs()
	began := processTime(b)
	defer func() { b.ReportMetric(float64((processTime(b)-began).Microseconds())/float64(b.N), "cpu-µs/op") }()
	for b.Loop() {
		response, err := server.Client().Get(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			b.Fatal(err)
		}
		_ = response.Body.Close()
	}
}
