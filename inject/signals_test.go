package inject

import (
	"os"
	"slices"
	"syscall"
	"testing"
)

func queue(signals ...os.Signal) chan os.Signal {
	c := make(chan os.Signal, len(signals))
	for _, s := range signals {
		c <- s
	}
	return c
}

// TestTogether: of SIGTSTP and SIGCONT in one moment the latter counts, though the Go
// runtime gives it first; but a job that was stopped is continued before it is stopped.
func TestTogether(t *testing.T) {
	t.Parallel()
	const USR1, TERM, CONT, TSTP, TTIN = syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGTTIN
	for name, c := range map[string]struct {
		came    []os.Signal
		stopped bool
		want    []os.Signal
	}{
		"^Z":                      {[]os.Signal{TSTP}, false, []os.Signal{TSTP}},
		"fg":                      {[]os.Signal{CONT}, true, []os.Signal{CONT}},
		"no job's":                {[]os.Signal{USR1, CONT}, false, []os.Signal{USR1}},
		"^Z, fg":                  {[]os.Signal{TSTP, CONT}, false, []os.Signal{CONT}},
		"^Z, fg as Go gives them": {[]os.Signal{CONT, TSTP, TTIN, TERM}, false, []os.Signal{CONT, TERM}},
		"fg, ^Z":                  {[]os.Signal{CONT, TSTP}, true, []os.Signal{CONT, TSTP}},
		"^Z again, fg, ^Z":        {[]os.Signal{TSTP, CONT, USR1, TSTP}, true, []os.Signal{CONT, USR1, TSTP}},
	} {
		if got := together(c.came[0], queue(c.came[1:]...), c.stopped); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestStopUs: what is over stops us no more; if it did, this test would never end.
func TestStopUs(t *testing.T) {
	t.Parallel()
	still := func() bool { return true }
	if got, want := stopUs(syscall.SIGTSTP, queue(syscall.SIGCONT, syscall.SIGTSTP, syscall.SIGUSR1), false, still), []os.Signal{syscall.SIGCONT, syscall.SIGUSR1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := stopUs(syscall.SIGTSTP, queue(syscall.SIGTSTP, syscall.SIGUSR1), false, func() bool { return false }), []os.Signal{syscall.SIGUSR1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
