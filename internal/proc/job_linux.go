package proc

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

const ownGroupsOnTerminals = true

// StopSelf stops this process by a signal such as SIGTSTP, so that a shell sees what
// it would have seen of the program, and returns when it is continued. Whether it
// shall stop still is asked at the last moment: a SIGCONT that comes any later takes
// the signal back, or continues us.
func StopSelf(s syscall.Signal, still func() bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, thread := uintptr(syscall.Getpid()), uintptr(syscall.Gettid())
	send := func() { _, _, _ = syscall.RawSyscall(syscall.SYS_TGKILL, pid, thread, uintptr(s)) } // takes effect before it returns
	if s == syscall.SIGSTOP {                                                                    // which can't be held back
		if still() {
			send()
		}
		return
	}
	defer asfound.SetDefault(s)()
	// The kernel drops a SIGCONT that nobody took when it gets a signal that stops. A
	// change of the mask has this thread take what there is: send at once.
	defer asfound.Block(s)()
	send()
	time.Sleep(time.Millisecond) // for another thread that is about to take one
	if still() {
		asfound.Unblock(s)
	} else {
		asfound.Discard(s)
	}
}

// parentOf is the parent of another process; 0 where that can't be told.
func parentOf(pid int) int {
	_, parent := stat(pid)
	return parent
}

// Paused tells whether the process is stopped, by ^Z for example, and not continued yet.
func (p *Process) Paused() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return false
	}
	state, _ := stat(p.pid)
	return state == "T"
}

// stat is the state of a process, one letter of proc(5), and its parent; nothing where
// that can't be told.
func stat(pid int) (state string, parent int) {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	// Behind the name of the command, in parentheses, which may hold anything: state, parent.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	return string(fields[0]), parent
}
