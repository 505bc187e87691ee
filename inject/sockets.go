package inject

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/systemd"
)

// listening is the sockets, and what else systemd keeps for the program, that each of
// its starts is given: inherited, then opened by us, then stored by the program itself.
type listening struct {
	sockets []systemd.Socket
	passed  bool                   // there were some at a time
	lasting []int                  // descriptors that are no program's to forget
	paths   map[string]os.FileInfo // unix sockets of ours, to be removed
}

// passedAtMost leaves the numbers of the files in memory free.
const passedAtMost = firstMemoryFile - 3

// listen takes over what was inherited, and opens what is declared.
func (l *listening) listen(declared []config.Socket, lookup func(string) (string, bool)) error {
	l.sockets = systemd.Inherited(lookup)
	for _, d := range declared {
		socket, err := systemd.Open(d.Name, d.Network, d.Address)
		if err != nil {
			return fmt.Errorf("child.sockets: listening on %s: %w", d, err)
		}
		if d.Network == "unix" {
			if l.paths == nil {
				l.paths = map[string]os.FileInfo{}
			}
			if info, err := os.Lstat(d.Address); err == nil && info.Mode().Type() == os.ModeSocket {
				l.paths[d.Address] = info
			}
		}
		l.sockets = append(l.sockets, socket)
	}
	for _, s := range l.sockets { // what is inherited may have been stored by the program, but for what it accepts from
		if accepts, err := unix.GetsockoptInt(s.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && accepts == 1 {
			l.lasting = append(l.lasting, s.FD)
		}
	}
	if n := len(l.sockets); n > passedAtMost {
		return fmt.Errorf("child.sockets: want at most %d with the inherited ones, got %d", passedAtMost, n)
	}
	l.passed = len(l.sockets) > 0
	return nil
}

func (l *listening) passes() bool { return l.passed }

// descriptors are the numbers of all, in their order.
func (l *listening) descriptors() []int {
	var all []int
	for _, s := range l.sockets {
		all = append(all, s.FD)
	}
	return all
}

// unlink removes the unix sockets of ours.
func (l *listening) unlink() {
	for path, was := range l.paths {
		if now, err := os.Lstat(path); err == nil && os.SameFile(was, now) {
			_ = os.Remove(path)
		}
	}
}

// storedName is what systemd calls a descriptor that is stored without a name.
const storedName = "stored"

// keep stores descriptors for the next start by us, as systemd does for the next by it.
func (l *listening) keep(m systemd.Message) {
	name, _ := m.Get("FDNAME")
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
		name = "" // as systemd has it: a colon would shift the names of the others
	}
	for _, fd := range m.Files {
		known := slices.ContainsFunc(l.sockets, func(s systemd.Socket) bool { return systemd.Same(s.FD, fd) })
		if known || len(l.sockets) >= passedAtMost {
			continue
		}
		if own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3); err == nil {
			l.sockets, l.passed = append(l.sockets, systemd.Socket{Name: cmp.Or(name, storedName), FD: own}), true
		}
	}
}

// forget drops what the program does not want to get again.
func (l *listening) forget(m systemd.Message) {
	name, named := m.Get("FDNAME")
	if !named {
		return
	}
	l.sockets = slices.DeleteFunc(l.sockets, func(s systemd.Socket) bool {
		dropped := s.Name == name && !slices.Contains(l.lasting, s.FD)
		if dropped {
			_ = unix.Close(s.FD)
		}
		return dropped
	})
}
