// Package systemd speaks the protocols by which systemd and its services deal with each
// other: the datagrams of sd_notify(3), to the manager and from a program, and the
// listening sockets of sd_listen_fds(3).
//
// github.com/coreos/go-systemd would bring the sending of a text and the reading of
// three variables. What makes a relay is not in it: descriptors that travel with a
// message, the credentials of its sender, and an order that a barrier may rely on.
package systemd

import (
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Message is one datagram: assignments, and descriptors. Who sends or drops it closes
// them.
type Message struct {
	Lines []string // NAME=VALUE
	Files []int
}

// Parse reads the text of a datagram.
func Parse(text string) Message {
	return Message{Lines: slices.DeleteFunc(strings.Split(text, "\n"), func(line string) bool { return line == "" })}
}

// Text is the datagram's text.
func (m Message) Text() string { return strings.Join(m.Lines, "\n") }

// Get is the value of the last assignment to name.
func (m Message) Get(name string) (value string, found bool) {
	for _, line := range m.Lines {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			value, found = v, true
		}
	}
	return value, found
}

// Says tells whether a line is in the message.
func (m Message) Says(line string) bool { return slices.Contains(m.Lines, line) }

// Without is the message without the assignments to these names.
func (m Message) Without(names ...string) Message {
	m.Lines = slices.DeleteFunc(slices.Clone(m.Lines), func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return slices.Contains(names, name)
	})
	return m
}

// Close closes the message's descriptors.
func (m Message) Close() {
	for _, file := range m.Files {
		_ = unix.Close(file)
	}
}
