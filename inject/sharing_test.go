package inject

import (
	"slices"
	"syscall"
	"testing"
)

// TestSharing: what a terminal sends to all is told from what somebody sends to us,
// though the job is looked at only when the signal is dealt with.
func TestSharing(t *testing.T) {
	t.Parallel()
	const (
		INT, TSTP, CONT, TTIN, TERM = syscall.SIGINT, syscall.SIGTSTP, syscall.SIGCONT, syscall.SIGTTIN, syscall.SIGTERM
		later                       = syscall.Signal(0) // when it is looked who has the terminal
	)
	front, back := job{here: true}, job{}
	stopped, followed := job{stopped: true}, job{stopped: true, followed: true}
	type step struct {
		signal syscall.Signal
		now    job
	}
	for name, c := range map[string]struct {
		began bool // in the foreground
		steps []step
		want  []syscall.Signal // forwarded
	}{
		"^C, ^Z, fg":              {true, []step{{INT, front}, {TSTP, front}, {CONT, job{here: true, followed: true}}, {INT, front}}, nil},
		"^C seen after ^Z":        {true, []step{{INT, stopped}, {TSTP, stopped}, {CONT, job{here: true, followed: true}}}, nil},
		"^C seen before the stop": {true, []step{{INT, back}, {TSTP, back}, {later, stopped}}, nil},
		"^C killed the script":    {true, []step{{INT, back}, {later, back}, {INT, back}}, []syscall.Signal{INT}},
		"^C seen after fg":        {true, []step{{INT, front}, {CONT, front}}, nil},
		"^C seen after bg":        {true, []step{{INT, back}, {CONT, back}, {later, back}}, nil},
		"killed in background":    {false, []step{{INT, back}, {TSTP, back}, {TERM, back}}, []syscall.Signal{INT, TSTP, TERM}},
		"killed after bg":         {true, []step{{TSTP, front}, {CONT, job{followed: true}}, {INT, back}}, []syscall.Signal{INT}},
		"left by a script":        {true, []step{{later, back}, {INT, back}, {INT, back}}, []syscall.Signal{INT, INT}},
		"terminated":              {true, []step{{TERM, front}}, []syscall.Signal{TERM}},
		"read in background":      {false, []step{{TTIN, back}, {TTIN, stopped}, {CONT, job{here: true, followed: true}}, {INT, front}}, nil},
		"continued alone":         {true, []step{{TSTP, front}, {CONT, followed}, {CONT, back}}, []syscall.Signal{CONT, CONT}},
		"continued while running": {false, []step{{CONT, back}}, []syscall.Signal{CONT}},
	} {
		h := sharing{had: c.began}
		var forwarded []syscall.Signal
		for _, step := range c.steps {
			switch {
			case step.signal == later:
				h.had = step.now.here
			case step.signal == CONT && !h.continued(step.now), step.signal != CONT && !h.sentToAll(step.signal, step.now):
				forwarded = append(forwarded, step.signal)
			}
		}
		if !slices.Equal(forwarded, c.want) {
			t.Errorf("%s: forwarded %v, want %v", name, forwarded, c.want)
		}
	}
}
