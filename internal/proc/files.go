package proc

import "golang.org/x/sys/unix"

// descriptors are the standard streams of the program, until the returned function is
// called. Each of Files has a number above those that the program gets besides, report
// among them: between fork and execve, syscall.ForkExec puts a pipe of its own on the
// number behind the highest that it is given.
func (s Spec) descriptors(report int) (all []uintptr, release func(), err error) {
	all = []uintptr{0, 1, 2} // by number: os.Stdin.Fd() would make a file blocking that the program shares with others
	highest := report
	for _, fd := range s.Sockets {
		highest = max(highest, fd)
	}
	for _, file := range s.Inherit {
		highest = max(highest, int(file.Fd()))
	}
	release = func() {
		for _, fd := range all {
			if fd > 2 {
				_ = unix.Close(int(fd))
			}
		}
	}
	for i, file := range s.Files {
		if file == nil || i == 1 && s.OutputToStderr {
			continue
		}
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, max(highest+1, 3))
		if err != nil {
			release()
			return nil, nil, err
		}
		all[i] = uintptr(fd)
	}
	if s.OutputToStderr {
		all[1] = 2
	}
	return all, release, nil
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
