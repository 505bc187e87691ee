package proc

import (
	"encoding/binary"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Lacks is what this platform can't do for a program; empty on Linux.
const Lacks = ""

// Table starts and reaps processes. One goroutine does both, on a thread of its own
// that lives as long as this process: children die with the thread that forked them
// (PR_SET_PDEATHSIG), and no child can end before it is known.
type Table struct {
	requests  chan request
	processes map[int]*Process // the goroutine's own
	core      unix.Rlimit      // the limit of core files that we were started with
	subreaper int32            // whether we were one when we were started
}

type request struct {
	spec  Spec
	reply chan<- reply
}

type reply struct {
	process *Process
	err     error
}

// New begins the table of this process. There can be one: it reaps every child.
//
// It also hardens this process: no core file (the program gets the limit as it was),
// and nobody of the same user may read its memory, which holds secrets.
func New() *Table {
	t := &Table{requests: make(chan request), processes: map[int]*Process{}}
	t.begin()
	return t
}

func (t *Table) begin() {
	chld := make(chan os.Signal, 1) // one is enough: every reaping reaps all
	signal.Notify(chld, syscall.SIGCHLD)
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		t.harden()
		close(ready)
		t.run(chld)
	}()
	<-ready
}

// Harden lets nobody of the same user read the memory of this process, and has it write
// no core file. It ignores failures: they leave what the system has anyway.
func Harden() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	var core unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &core)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 0, Max: core.Max})
}

// harden ignores failures too.
func (t *Table) harden() {
	_ = unix.Getrlimit(unix.RLIMIT_CORE, &t.core)
	Harden()
	_ = unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&t.subreaper)), 0, 0, 0)
	if os.Getpid() != 1 {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	}
}

// limitCore sets the soft limit of core files.
func (t *Table) limitCore(soft uint64) {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: soft, Max: t.core.Max})
}

// Soften undoes what must not pass to the program when this process becomes it.
func (t *Table) Soften() {
	t.limitCore(t.core.Cur)
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, uintptr(t.subreaper), 0, 0, 0)
}

// Start starts a program. The error is the system's for executing it.
func (t *Table) Start(spec Spec) (*Process, error) {
	answer := make(chan reply, 1)
	t.requests <- request{spec, answer}
	r := <-answer
	return r.process, r.err
}

func (t *Table) run(chld <-chan os.Signal) {
	t.reap() // what ended before the first SIGCHLD was asked for
	for {
		select {
		case <-chld:
			t.reap()
		case r := <-t.requests:
			p, err := t.spawn(r.spec)
			if err == nil {
				t.processes[p.pid] = p
			}
			r.reply <- reply{p, err}
		}
	}
}

// reap takes every child that has ended, known or not, and notes what was stopped.
func (t *Table) reap() {
	for {
		pid, err := endedChild()
		if err != nil || pid == 0 {
			break
		}
		var ws syscall.WaitStatus
		p, known := t.processes[pid]
		if !known {
			_ = wait(pid, &ws)
			continue
		}
		p.mu.Lock() // from here on the id may be another's
		if wait(pid, &ws) == nil {
			delete(t.processes, pid)
			p.ended(ws)
		}
		p.mu.Unlock()
	}
	for _, p := range t.processes {
		if s := stoppedChild(p.pid); s != 0 {
			p.stoppedBy(s)
		}
	}
}

// Ended tells whether the process has ended, be it that nobody took notice yet.
func (p *Process) Ended() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return true
	}
	info, err := waitid(unix.P_PID, p.pid, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT)
	return err == nil && info.pid == p.pid
}

// endedChild is the id of a child that has ended, which it leaves as it is; 0 if
// there is none.
func endedChild() (int, error) {
	info, err := waitid(unix.P_ALL, 0, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT)
	return info.pid, err
}

// stoppedChild is the signal that has stopped a child since the last call, or 0.
func stoppedChild(pid int) syscall.Signal {
	info, err := waitid(unix.P_PID, pid, unix.WSTOPPED|unix.WNOHANG)
	if err != nil || info.pid != pid {
		return 0
	}
	return syscall.Signal(info.status)
}

type waitInfo struct{ pid, status int }

func waitid(kind, id, options int) (waitInfo, error) {
	var info unix.Siginfo
	for {
		err := unix.Waitid(kind, id, &info, options, nil)
		if err == unix.EINTR {
			continue
		}
		// Behind the header: si_pid, si_uid, si_status.
		fields := (*[unsafe.Sizeof(info)]byte)(unsafe.Pointer(&info))[16:]
		return waitInfo{
			pid:    int(int32(binary.NativeEndian.Uint32(fields))),
			status: int(int32(binary.NativeEndian.Uint32(fields[8:]))),
		}, err
	}
}

func wait(pid int, ws *syscall.WaitStatus) error {
	for {
		if _, err := syscall.Wait4(pid, ws, 0, nil); err != syscall.EINTR {
			return err
		}
	}
}
