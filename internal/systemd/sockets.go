package systemd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Socket is a listening socket, or another descriptor, that passes to a program. It is a
// number and no *os.File: taking the number of that would make it blocking for everybody
// who shares it.
type Socket struct {
	Name string // in LISTEN_FDNAMES
	FD   int
}

// unnamed is what sd_listen_fds_with_names calls a descriptor without a name.
const unnamed = "unknown"

// firstSocket is where the protocol has descriptors begin.
const firstSocket = 3

// Inherited are the descriptors that were passed to this process, and to no other. From
// now on no program gets them unasked. It is to be called once, early.
func Inherited(lookup func(string) (string, bool)) []Socket {
	number := func(name string) int {
		text, _ := lookup(name)
		n, _ := strconv.Atoi(text)
		return n
	}
	if number("LISTEN_PID") != os.Getpid() {
		return nil
	}
	names, named := lookup("LISTEN_FDNAMES")
	list := strings.Split(names, ":")
	var sockets []Socket
	for i := range number("LISTEN_FDS") {
		s := Socket{Name: unnamed, FD: firstSocket + i}
		if named && i < len(list) && list[i] != "" {
			s.Name = list[i]
		}
		if !inherited(s.FD) {
			return nil // what was promised is not there: let the program complain
		}
		sockets = append(sockets, s)
	}
	for _, s := range sockets {
		unix.CloseOnExec(s.FD)
	}
	return sockets
}

// inherited tells whether a descriptor is open, and not the Go runtime's own.
func inherited(fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// Open begins to listen, on tcp or unix.
func Open(name, network, address string) (Socket, error) {
	if name == "" {
		name = unnamed
	}
	if network == "unix" {
		if err := clearPath(address); err != nil {
			return Socket{}, err
		}
		// Not by chmod: in a directory that others may write to, the path may be another's by then.
		defer unix.Umask(unix.Umask(0o111)) // mode 0666, systemd's SocketMode=
	}
	config := net.ListenConfig{}
	config.SetMultipathTCP(false) // a program that takes it for TCP would be surprised
	listener, err := config.Listen(context.Background(), network, address)
	if err != nil {
		return Socket{}, cause(err)
	}
	defer listener.Close()
	if unixListener, ok := listener.(*net.UnixListener); ok {
		unixListener.SetUnlinkOnClose(false)
	}
	fd, err := duplicate(listener.(syscall.Conn))
	return Socket{Name: name, FD: fd}, err
}

// duplicate is a descriptor of a socket that is Go's no more. It blocks, as those that
// systemd passes do.
func duplicate(conn syscall.Conn) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	control := raw.Control(func(of uintptr) {
		if fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, firstSocket); err == nil {
			err = unix.SetNonblock(fd, false)
		}
	})
	return fd, errors.Join(control, err)
}

// clearPath removes the socket that a predecessor left at a path: one that nobody listens on.
func clearPath(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return cause(err)
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("something else than a socket is there: remove it, or choose another path")
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
	}
	if err == nil || !errors.Is(err, unix.ECONNREFUSED) {
		return errors.New("another process listens there")
	}
	return cause(os.Remove(path))
}

// cause is an error less what whoever asked knows: what was done to which address.
func cause(err error) error {
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		err = operation.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// Variables are what a program that is given these as descriptors 3, 4 … finds in its
// environment, but for LISTEN_PID: that is its own business.
func Variables(sockets []Socket) []string {
	var names []string
	for _, s := range sockets {
		names = append(names, s.Name)
	}
	return []string{fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES=" + strings.Join(names, ":")}
}

// Same tells whether two descriptors stand for the same thing, as the manager sees it in
// its store.
func Same(a, b int) bool {
	var of, other unix.Stat_t
	if unix.Fstat(a, &of) != nil || unix.Fstat(b, &other) != nil {
		return false
	}
	return of.Dev == other.Dev && of.Ino == other.Ino && of.Mode == other.Mode && of.Rdev == other.Rdev
}
