package main

import (
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

// stderr is where kmsrun speaks. Whoever reads it may be slow or stalled, and a
// terminal may stop those who write to it from the background: none of that may keep
// a signal from the program. So lines go through a bounded queue to one goroutine,
// and are dropped, and counted, when the queue is full.
type stderr struct {
	queue   chan line
	dropped atomic.Int64
}

// line is text to write, or a request to say when all before it is written.
type line struct {
	text    []byte
	written chan<- struct{}
}

// queued is how many lines may wait.
const queued = 1024

// flushTime is how long the end of the process may wait for a reader.
const flushTime = time.Second

func newStderr(to io.Writer) *stderr {
	s := &stderr{queue: make(chan line, queued)}
	go s.run(to)
	return s
}

// Write queues one line. It never blocks and never fails.
func (s *stderr) Write(p []byte) (int, error) {
	select {
	case s.queue <- line{text: append([]byte(nil), p...)}:
	default:
		s.dropped.Add(1)
	}
	return len(p), nil
}

// flush waits until everything is written, but not for ever.
func (s *stderr) flush() {
	written := make(chan struct{})
	late := time.After(flushTime)
	select {
	case s.queue <- line{written: written}:
	case <-late:
		return
	}
	select {
	case <-written:
	case <-late:
	}
}

func (s *stderr) run(to io.Writer) {
	// A thread of its own, in which a terminal's "tostop" is blocked: otherwise a
	// background job with a handler for SIGTTOU would try to write for ever.
	runtime.LockOSThread()
	asfound.Block(syscall.SIGTTOU)
	for l := range s.queue {
		if len(l.text) > 0 {
			_, _ = to.Write(l.text) // to a closed stderr there is nothing to say
		}
		if n := s.dropped.Load(); n > 0 && len(s.queue) == 0 { // what was dropped came after what was queued
			s.dropped.Add(-n)
			_, _ = fmt.Fprintf(to, "kmsrun: %d lines were dropped here: stderr was not read\n", n)
		}
		if l.written != nil {
			close(l.written)
		}
	}
}
