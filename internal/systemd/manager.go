package systemd

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Manager is whom this process tells how it is. Messages are sent in their order, by a
// goroutine: one that does not read at once holds up nobody.
type Manager struct {
	socket  int
	address unix.Sockaddr
	queue   chan Message
	done    chan struct{}
	log     *slog.Logger
}

const (
	// queued is how many messages may wait.
	queued = 4096
	// sendBuffer is as large as libsystemd makes it: a message waits in it, and does not fail.
	sendBuffer = 8 << 20
)

// Dial takes the address of NOTIFY_SOCKET.
func Dial(address string, log *slog.Logger) (*Manager, error) {
	if !strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "@") || len(address) < 2 {
		return nil, fmt.Errorf("want a path or an abstract name of a unix socket, got %q", address)
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(socket)
	_ = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	m := &Manager{socket: socket, address: &unix.SockaddrUnix{Name: address}, queue: make(chan Message, queued), done: make(chan struct{}), log: log}
	go m.run()
	return m, nil
}

func (m *Manager) run() {
	defer close(m.done)
	for message := range m.queue {
		var rights []byte
		if len(message.Files) > 0 {
			rights = unix.UnixRights(message.Files...)
		}
		if err := m.send([]byte(message.Text()), rights); err != nil {
			m.log.Debug("systemd can't be told", "err", err)
		}
		message.Close()
	}
	_ = unix.Close(m.socket)
}

func (m *Manager) send(text, rights []byte) error {
	for {
		if err := unix.Sendmsg(m.socket, text, rights, m.address, 0); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Send sends a message after those before it. It never waits: with far too many before
// it, it is dropped.
func (m *Manager) Send(message Message) {
	select {
	case m.queue <- message:
	default:
		m.log.Debug("systemd reads too slowly; a message is dropped")
		message.Close()
	}
}

// Close waits until all is sent, but not for ever.
func (m *Manager) Close(patience time.Duration) {
	close(m.queue)
	select {
	case <-m.done:
	case <-time.After(patience):
	}
}
