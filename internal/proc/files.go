package proc

import "golang.org/x/sys/unix"

func (s Spec) descriptors() []uintptr {
	all := []uintptr{0, 1, 2} // by number: os.Stdin.Fd() would make a file blocking that the program shares with others
	for i, file := range s.Files {
		if file != nil {
			all[i] = file.Fd()
		}
	}
	if s.OutputToStderr {
		all[1] = 2
	}
	return all
}

// passOn lets the files of Inherit and the Sockets through execve until the returned
// function is called. This goroutine alone forks: no other program gets them.
func (s Spec) passOn() (undo func()) {
	set := func(flags int) {
		for _, file := range s.Inherit {
			_, _ = unix.FcntlInt(file.Fd(), unix.F_SETFD, flags)
		}
		for _, fd := range s.Sockets {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags)
		}
	}
	set(0)
	return func() { set(unix.FD_CLOEXEC) }
}
