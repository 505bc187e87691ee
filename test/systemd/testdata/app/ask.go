package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// askPatience is how long a client waits for its answer.
const askPatience = 30 * time.Second

// ask asks a server at a steady rate, each time on a new connection, until stdin ends. It
// says how many were answered, how many were not, and how long the slowest took.
func ask(network, address string, perSecond int) {
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	var mu sync.Mutex
	var asking sync.WaitGroup
	var failures []string
	var slowest time.Duration
	answers := 0
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	for open := true; open; {
		asking.Go(func() {
			began := time.Now()
			err := askOnce(network, address)
			mu.Lock()
			defer mu.Unlock()
			slowest = max(slowest, time.Since(began))
			if err != nil {
				failures = append(failures, err.Error())
			} else {
				answers++
			}
		})
		select {
		case <-ended:
			open = false
		case <-tick.C:
		}
	}
	asking.Wait()
	say("answered %d, failed %d, slowest %d ms %s", answers, len(failures), slowest.Milliseconds(), strings.Join(failures, "; "))
}

func askOnce(network, address string) error {
	conn, err := net.DialTimeout(network, address, askPatience)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(askPatience))
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(string(answer), " hello\n") {
		return errors.New("got " + fmt.Sprintf("%q", answer))
	}
	return nil
}
