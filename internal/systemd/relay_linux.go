package systemd

import (
	"errors"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Relay is the socket that one start of a program is given in the place of the
// manager's. Its name is abstract, and the kernel's choice: it is on no filesystem that
// could be read-only or another user's, and what an earlier start left behind does not
// know it.
type Relay struct {
	conn     *net.UnixConn
	raw      syscall.RawConn
	users    []uint32
	messages chan Message
	closing  chan struct{}
	rest     []Message // of the goroutine that reads, until messages is closed
}

const (
	// textLimit is systemd's, PIPE_BUF; what is longer it takes for nothing.
	textLimit = 4096
	// filesLimit is the kernel's for one datagram.
	filesLimit = 253
)

// Listen opens a relay that hears what runs as root, as this process or as one of the
// users, and whatever descends from this process.
func Listen(users ...uint32) (*Relay, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		control := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
		err = errors.Join(control, err)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	r := &Relay{conn: conn, raw: raw, users: append(users, 0, uint32(os.Geteuid())), messages: make(chan Message), closing: make(chan struct{})}
	go r.run()
	return r, nil
}

// Address is what the program finds in NOTIFY_SOCKET.
func (r *Relay) Address() string { return r.conn.LocalAddr().String() }

// Messages gets what the program says. Who does not take one holds up the program, as a
// busy manager would.
func (r *Relay) Messages() <-chan Message {
	if r == nil {
		return nil
	}
	return r.messages
}

func (r *Relay) run() {
	defer close(r.messages)
	for {
		var m Message
		var heard bool
		var err error
		wait := r.raw.Read(func(fd uintptr) bool {
			m, heard, err = r.receive(int(fd))
			return !errors.Is(err, unix.EAGAIN)
		})
		switch {
		case wait != nil || err != nil:
			return
		case !heard:
			continue
		}
		select {
		case r.messages <- m:
		case <-r.closing:
			r.rest = append(r.rest, m)
			return
		}
	}
}

// Close ends the relay, and returns what the program had said and nobody took yet.
func (r *Relay) Close() []Message {
	close(r.closing)
	_ = r.conn.SetReadDeadline(time.Unix(1, 0))
	var rest []Message
	for m := range r.messages {
		rest = append(rest, m)
	}
	rest = append(rest, r.rest...)
	_ = r.raw.Control(func(fd uintptr) {
		for range queued { // who never stops is not listened to for ever
			m, heard, err := r.receive(int(fd))
			if err != nil {
				return
			}
			if heard {
				rest = append(rest, m)
			}
		}
	})
	_ = r.conn.Close()
	return rest
}

// receive takes one datagram, without waiting. heard is false for one that is none of
// the program's, or no message.
func (r *Relay) receive(fd int) (m Message, heard bool, err error) {
	text := make([]byte, textLimit)
	control := make([]byte, unix.CmsgSpace(4*filesLimit)+unix.CmsgSpace(unix.SizeofUcred))
	n, size, flags, _, err := unix.Recvmsg(fd, text, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if errors.Is(err, unix.EINTR) {
		return m, false, nil
	}
	if err != nil {
		return m, false, err
	}
	m = Parse(string(text[:n]))
	var sender *unix.Ucred
	parts, _ := unix.ParseSocketControlMessage(control[:size])
	for _, part := range parts {
		if files, err := unix.ParseUnixRights(&part); err == nil {
			m.Files = append(m.Files, files...)
		}
		if who, err := unix.ParseUnixCredentials(&part); err == nil {
			sender = who
		}
	}
	if sender == nil || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || !r.trusts(sender) {
		m.Close()
		return Message{}, false, nil
	}
	return m, true, nil
}

func (r *Relay) trusts(sender *unix.Ucred) bool {
	return slices.Contains(r.users, sender.Uid) || descends(int(sender.Pid), os.Getpid())
}
