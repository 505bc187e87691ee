package proc

import (
	"bytes"
	"io"
	"os"
	"syscall"
	"time"
)

// Result is how a command of ours went.
type Result struct {
	Status   Status
	TimedOut bool   // it was killed for taking too long
	Output   []byte // the last of what it wrote, from the begin of a line, where that was asked for
}

// Command is a command of ours under way, such as a hook: in a group of its own, with
// nothing to read, killed with all its group when its time is over.
type Command struct {
	process *Process
	done    chan Result
}

// Run starts a command. Of its output, if keep is more than 0, so many bytes are kept
// and the rest is thrown away; with 0 it goes where the spec says.
func (t *Table) Run(spec Spec, timeout time.Duration, keep int) (*Command, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	spec.Files[0], spec.Group = null, OwnGroup
	var output []byte
	read := make(chan struct{})
	var from, to *os.File
	if keep > 0 {
		if from, to, err = os.Pipe(); err != nil {
			return nil, err
		}
		defer to.Close()
		spec.Files[1], spec.Files[2] = to, to
	}
	p, err := t.Start(spec)
	if err != nil {
		if from != nil {
			_ = from.Close()
		}
		return nil, err
	}
	go func() {
		defer close(read)
		if from != nil {
			output = readLast(from, keep)
		}
	}()
	c := &Command{process: p, done: make(chan Result, 1)}
	go func() {
		r := Result{TimedOut: c.wait(timeout)}
		_ = p.SignalGroup(syscall.SIGKILL) // what it left behind
		if from != nil {
			// What left its group may hold the pipe for ever.
			_ = from.SetReadDeadline(time.Now().Add(time.Second))
			<-read
			_ = from.Close()
		}
		r.Status, r.Output = p.Status(), output
		c.done <- r
	}()
	return c, nil
}

// readLast reads all, and keeps the last bytes of it, at most so many. What is cut off
// is cut off at the end of a line: half a word can't be recognized.
func readLast(from io.Reader, keep int) []byte {
	var kept []byte
	cut := false
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		kept = append(kept, buffer[:n]...)
		if extra := len(kept) - keep; extra > 0 {
			kept, cut = append(kept[:0], kept[extra:]...), true
		}
		if err != nil {
			break
		}
	}
	if cut {
		_, kept, _ = bytes.Cut(kept, []byte("\n"))
	}
	return kept
}

// wait returns when the process has ended, and whether that took force.
func (c *Command) wait(timeout time.Duration) (timedOut bool) {
	late := time.NewTimer(timeout)
	defer late.Stop()
	select {
	case <-c.process.Done():
		return false
	case <-late.C:
		c.Kill()
		<-c.process.Done()
		return true
	}
}

// Done gets the result, once.
func (c *Command) Done() <-chan Result { return c.done }

// Kill ends the command and its group. Its result comes as usual.
func (c *Command) Kill() { _ = c.process.SignalGroup(syscall.SIGKILL) }
