package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestStderrDropsRatherThanWaits: a reader that does not read costs lines, not the
// program's signals.
func TestStderrDropsRatherThanWaits(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := newStderr(writer)
	const lines = 5 * queued
	for i := range lines {
		if _, err := fmt.Fprintf(s, "line %d %s\n", i, strings.Repeat("x", 100)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = all.ReadFrom(reader)
		done <- all.String()
	}()
	for s.dropped.Load() > 0 { // until the next line that fits tells
		_, _ = s.Write([]byte("last\n"))
	}
	s.flush()
	_ = writer.Close()
	got := <-done
	if !strings.Contains(got, "line 0 ") || !strings.Contains(got, "lines were dropped here: stderr was not read\n") {
		t.Errorf("got %.100q…, want the first lines and a count of those dropped", got)
	}
}

// TestStalledStderr: the program gets its signals while nobody reads kmsrun's stderr.
func TestStalledStderr(t *testing.T) {
	t.Parallel()
	var pipe [2]int // not os.Pipe: os.File would make it blocking again at each Fd
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC|syscall.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	full := os.NewFile(uintptr(pipe[1]), "full")
	defer full.Close()
	defer syscall.Close(pipe[0])
	for err := error(nil); err == nil; {
		_, err = syscall.Write(pipe[1], bytes.Repeat([]byte("x"), 4096))
	}
	if err := syscall.SetNonblock(pipe[1], false); err != nil {
		t.Fatal(err)
	}
	r := prepareStart(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--", "sh", "-c",
		`trap 'exit 3' TERM; echo ready; while :; do sleep 0.02; done`)
	r.Stderr = full
	r.begin()
	r.awaitOutput("ready")
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != 3 {
		t.Errorf("exit status: got %d, want 3", got)
	}
}

// TestHandledStopSignal: a program that means something else by SIGTTIN goes on, and
// so do we.
func TestHandledStopSignal(t *testing.T) {
	t.Parallel()
	r := start(t, []string{"PATH=" + os.Getenv("PATH")}, "exec", "--", "sh", "-c",
		`trap 'echo worker' TTIN; trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done`)
	r.awaitOutput("ready")
	for _, s := range []syscall.Signal{syscall.SIGTTIN, syscall.SIGTERM} {
		if err := r.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if s == syscall.SIGTTIN {
			r.awaitOutput("worker")
		}
	}
	if got := r.wait(); got != 7 {
		t.Errorf("exit status: got %d, want 7", got)
	}
}
