package asfound

import (
	"strconv"
	"strings"
	"syscall"
)

// firstSocket is the number that the first of the sockets gets.
const firstSocket = 3

// place gives the sockets their numbers. What else was inherited under one of those is
// lost to the program. This is a process of its own, so nothing here can hit a
// descriptor of kmsrun or of its runtime.
func (s Stage) place() (Stage, error) {
	above := firstSocket + len(s.Sockets)
	if s.Report >= 0 {
		report, err := lift(s.Report, above)
		if err != nil {
			return s, err
		}
		s.Report = report
	}
	sources := make([]int, len(s.Sockets))
	for i, fd := range s.Sockets {
		source, err := lift(fd, above)
		if err != nil {
			return s, err
		}
		sources[i] = source
	}
	for i, source := range sources {
		if err := syscall.Dup3(source, firstSocket+i, 0); err != nil {
			return s, err
		}
	}
	return s, nil
}

// lift is a descriptor from a number on, which does not pass to the program; nor does
// the one that it was, unless its number is given to another.
func lift(fd, least int) (int, error) {
	if fd < least {
		n, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, uintptr(least))
		if errno != 0 {
			return fd, errno
		}
		syscall.CloseOnExec(fd)
		return int(n), nil
	}
	syscall.CloseOnExec(fd)
	return fd, nil
}

// Become replaces this process by the program, by way of a stage. It returns only on
// failure; a failure of the stage is printed, and is the exit status.
func (s Stage) Become(path string, argv, environ []string) error {
	for _, fd := range s.Sockets {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETFD, 0); errno != 0 {
			return errno
		}
	}
	s.Report = -1
	return s.Signals.Exec("/proc/self/exe", s.Argv(path, argv), environ)
}

func joined(numbers []int) string {
	var texts []string
	for _, n := range numbers {
		texts = append(texts, strconv.Itoa(n))
	}
	return strings.Join(texts, "+")
}

// split is the reverse of joined.
func split(text string) (numbers []int, err error) {
	for part := range strings.SplitSeq(text, "+") {
		if part == "" {
			continue
		}
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
