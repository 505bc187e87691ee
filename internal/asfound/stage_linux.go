package asfound

import (
	"errors"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"github.com/kmsrun/kmsrun/internal/debugguard"
)

// StageArg is the first argument of this binary as a stage.
const StageArg = "__stage"

// Stage is what happens between the fork and the program.
type Stage struct {
	Signals    State
	Foreground bool     // the process's group takes the foreground of its terminal
	PIDs       []string // variables that are set to the process's id, such as LISTEN_PID
	Sockets    []int    // descriptors that the program gets as 3, 4 …
	Report     int      // descriptor to which a failure to execute goes: an errno, 4 bytes; -1: it is printed
}

// Argv is the argument list of this binary, /proc/self/exe, as the stage of a program.
func (s Stage) Argv(path string, argv []string) []string {
	foreground := "0"
	if s.Foreground {
		foreground = "1"
	}
	settings := strings.Join([]string{
		strconv.FormatUint(uint64(s.Signals.Ignored), 16), strconv.FormatUint(uint64(s.Signals.Blocked), 16),
		foreground, strings.Join(s.PIDs, "+"), joined(s.Sockets), strconv.Itoa(s.Report),
	}, ",")
	return append([]string{"kmsrun", StageArg, settings, path}, argv...)
}

// parse is the reverse of Argv.
func parse(args []string) (s Stage, path string, argv []string, ok bool) {
	if len(args) < 5 || args[1] != StageArg {
		return s, "", nil, false
	}
	settings := strings.Split(args[2], ",")
	if len(settings) != 6 {
		return s, "", nil, false
	}
	ignored, err1 := strconv.ParseUint(settings[0], 16, 64)
	blocked, err2 := strconv.ParseUint(settings[1], 16, 64)
	sockets, err3 := split(settings[4])
	report, err4 := strconv.Atoi(settings[5])
	if err1 != nil || err2 != nil || err3 != nil || err4 != nil {
		return s, "", nil, false
	}
	s = Stage{Signals: State{Set(ignored), Set(blocked)}, Foreground: settings[2] == "1", Sockets: sockets, Report: report}
	if settings[3] != "" {
		s.PIDs = strings.Split(settings[3], "+")
	}
	return s, args[3], args[4:], true
}

var _ = stage()

// stage ends in the program if this process is one.
func stage() bool {
	args := arguments()
	s, path, argv, ok := parse(args)
	if !ok {
		return false
	}
	s.Signals.setActions() // now, not only at the end: to a signal of now, this is the program
	if s.Foreground {
		takeForeground()
	}
	s, err := s.place()
	if err == nil {
		err = s.Signals.Exec(path, argv, s.environ())
	}
	s.fail(argv[0], err)
	return true
}

// fail ends a stage that could not become the program.
func (s Stage) fail(name string, err error) {
	if s.Report < 0 {
		_, _ = syscall.Write(2, []byte("kmsrun: starting \""+name+"\": "+err.Error()+"\n"))
		syscall.Exit(126)
	}
	failure := uint32(syscall.EINVAL)
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		failure = uint32(errno)
	}
	_, _ = syscall.Write(s.Report, (*[4]byte)(unsafe.Pointer(&failure))[:])
	syscall.Exit(127)
}

// arguments is the argument list, which package os has not read yet. Of anything but
// a stage it reads no more than shows that.
func arguments() []string {
	file, err := syscall.Open("/proc/self/cmdline", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = syscall.Close(file) }()
	var all []byte
	for buffer := make([]byte, 4096); ; {
		n, err := syscall.Read(file, buffer)
		if err == syscall.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			break
		}
		if all = append(all, buffer[:n]...); !strings.HasPrefix(string(all), "kmsrun\x00"+StageArg+"\x00") {
			return nil
		}
	}
	return strings.Split(strings.TrimSuffix(string(all), "\x00"), "\x00")
}

// environ is the program's environment.
func (s Stage) environ() []string {
	environ := append(syscall.Environ(), debugguard.Variables()...)
	pid := strconv.Itoa(syscall.Getpid())
	for i, variable := range environ {
		for _, name := range s.PIDs {
			if strings.HasPrefix(variable, name+"=") {
				environ[i] = name + "=" + pid
			}
		}
	}
	return environ
}

// takeForeground does what a shell does for a job. With everything blocked, the
// terminal does not stop us for asking from the background.
func takeForeground() {
	setMask(^Set(0))
	terminal, err := syscall.Open("/dev/tty", syscall.O_RDWR|syscall.O_CLOEXEC|syscall.O_NOCTTY, 0)
	if err != nil {
		return
	}
	group := int32(syscall.Getpgrp())
	_, _, _ = syscall.RawSyscall(syscall.SYS_IOCTL, uintptr(terminal), syscall.TIOCSPGRP, uintptr(unsafe.Pointer(&group)))
	_ = syscall.Close(terminal)
}
