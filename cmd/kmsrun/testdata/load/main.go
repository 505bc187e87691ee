// Load asks a TLS server again and again, each time on a new connection, and reads the
// pair of files that the server serves. It begins at the first answer, says which
// certificate it sees and what fails, and counts at the end.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	address, files := os.Args[1], os.Args[2]
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	for ask(address) != nil {
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Println("begins")
	var stopped atomic.Bool
	var requests, reads atomic.Int64
	var work sync.WaitGroup
	repeat := func(count *atomic.Int64, do func() error) {
		work.Go(func() {
			for !stopped.Load() {
				count.Add(1)
				if err := do(); err != nil {
					fmt.Println("failure:", err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	repeat(&requests, func() error { return ask(address) })
	repeat(&requests, func() error { return ask(address) })
	repeat(&reads, func() error { return read(files) })
	<-stop
	stopped.Store(true)
	work.Wait()
	fmt.Printf("ends after %d requests and %d reads\n", requests.Load(), reads.Load())
}

var seen atomic.Int64

// ask makes one request on a connection of its own.
func ask(address string) error {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	client := http.Client{Transport: transport, Timeout: 20 * time.Second}
	response, err := client.Get("https://" + address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "hello\n" {
		return fmt.Errorf("answer %q, %w", body, err)
	}
	if serial := response.TLS.PeerCertificates[0].SerialNumber.Int64(); seen.Swap(serial) < serial {
		fmt.Println("serial", serial)
	}
	return nil
}

// read opens ..data once and reads both files through it.
func read(files string) error {
	root, err := os.OpenRoot(filepath.Join(files, "..data"))
	if err != nil {
		return err
	}
	defer root.Close()
	crt, err := root.ReadFile("tls.crt")
	if err != nil {
		return err
	}
	key, err := root.ReadFile("tls.key")
	if err != nil {
		return err
	}
	_, err = tls.X509KeyPair(crt, key) // fails unless they belong together
	return err
}
