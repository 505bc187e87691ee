package proc

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/internal/asfound"
)

// Terminal is the controlling terminal of this process. Its zero value is that of a
// process that has none.
type Terminal struct{ file *os.File }

// OpenTerminal finds the controlling terminal.
func OpenTerminal() Terminal {
	file, err := os.OpenFile("/dev/tty", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return Terminal{}
	}
	return Terminal{file}
}

// Present tells whether there is a terminal.
func (t Terminal) Present() bool { return t.file != nil }

// Foreground tells whether our process group has the terminal's foreground.
func (t Terminal) Foreground() bool {
	group, ok := t.group()
	return ok && group == syscall.Getpgrp()
}

func (t Terminal) group() (int, bool) {
	if t.file == nil {
		return 0, false
	}
	group, err := unix.IoctlGetInt(int(t.file.Fd()), unix.TIOCGPGRP)
	return group, err == nil
}

// Give gives the foreground to a process that leads a group, if we have it.
func (t Terminal) Give(p *Process) {
	if p.ownsPID && t.Foreground() {
		t.set(p.pid)
	}
}

// TakeBack takes the foreground back from a process's group, or from one that is gone.
func (t Terminal) TakeBack(p *Process) {
	group, ok := t.group()
	if ok && p.ownsPID && (group == p.pid || syscall.Kill(-group, 0) == syscall.ESRCH) {
		t.set(syscall.Getpgrp())
	}
}

// set works from the background too, where a terminal would stop us for it.
func (t Terminal) set(group int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer asfound.Block(syscall.SIGTTOU)()
	_ = unix.IoctlSetPointerInt(int(t.file.Fd()), unix.TIOCSPGRP, group)
}

// GroupHere is the group for a program on this terminal. With a group of its own in
// the foreground it gets ^C and ^Z once, from the terminal. But where others share
// our group, be it a script that runs us or the rest of a pipeline, they must get ^C
// too, or read the terminal: there the program stays with us.
func (t Terminal) GroupHere() Group {
	switch {
	case t.file == nil:
		return OwnGroup
	case !ownGroupsOnTerminals || syscall.Getpid() != syscall.Getpgrp() || piped(0) || piped(1) || piped(2):
		return OurGroup
	case t.Foreground():
		return ForegroundGroup
	default:
		return OwnGroup
	}
}

// piped tells whether a descriptor is a pipe or a socket.
func piped(fd int) bool {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil {
		return false
	}
	kind := stat.Mode & unix.S_IFMT
	return kind == unix.S_IFIFO || kind == unix.S_IFSOCK
}

// Orphaned tells whether no shell looks after our process group: the kernel does not
// let a terminal stop such a group. Where a script runs us in its own group, it is the
// script's parent that looks after both.
func Orphaned() bool {
	session, err := unix.Getsid(0)
	if err != nil {
		return true
	}
	for pid := syscall.Getppid(); pid > 0; pid = parentOf(pid) {
		if theirs, err := unix.Getsid(pid); err != nil || theirs != session {
			return true
		}
		if group, _ := syscall.Getpgid(pid); group != syscall.Getpgrp() {
			return false
		}
	}
	return true
}
