//go:build linux

package proc

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

// TestStopSelf: a stop that is over before it began is none; if it were one, this test
// would never end.
func TestStopSelf(t *testing.T) {
	t.Parallel()
	for _, s := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN} {
		StopSelf(s, func() bool { return false })
		StopSelf(s, func() bool {
			_ = syscall.Kill(syscall.Getpid(), syscall.SIGCONT) // takes it back
			return true
		})
	}
	StopSelf(syscall.SIGSTOP, func() bool { return false })
}

// TestStoppedStage: a ^Z between fork and program stops the program, not us, who wait
// for it.
func TestStoppedStage(t *testing.T) {
	t.Parallel()
	spec, _ := shell(t, stoppedScript)
	spec.Signals.Ignored = spec.Signals.Ignored.With(int(syscall.SIGUSR1)) // by way of a stage
	for caught := false; !caught; {
		started := make(chan *Process)
		go func() {
			p, err := table().Start(spec)
			if err != nil {
				t.Error(err)
			}
			started <- p
		}()
		var p *Process
		for p == nil {
			select {
			case p = <-started:
			default:
				caught = stopStage() || caught
			}
		}
		if caught {
			awaitStopped(t, p)
		}
		_ = p.Signal(syscall.SIGKILL)
		<-p.Done()
	}
}

const stoppedScript = "exec sleep 1000 # of TestStoppedStage"

// stopStage stops the stage of the script, if it is one yet.
func stopStage() bool {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for child := range strings.FieldsSeq(string(children)) {
			command, _ := os.ReadFile("/proc/" + child + "/cmdline")
			pid, err := strconv.Atoi(child)
			if err == nil && bytes.HasPrefix(command, []byte("kmsrun\x00"+asfound.StageArg+"\x00")) && bytes.Contains(command, []byte(stoppedScript)) {
				return syscall.Kill(pid, syscall.SIGSTOP) == nil
			}
		}
	}
	return false
}

func awaitStopped(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Stopped():
	case <-p.Done():
		t.Error("the program was not stopped")
	case <-time.After(patience):
		t.Error("the program neither stopped nor ended")
	}
}
