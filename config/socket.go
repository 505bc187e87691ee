package config

import (
	"fmt"
	"net"
	"path"
	"regexp"
	"strings"
)

// Socket is a listening socket that the program is given.
type Socket struct {
	Name    string // in LISTEN_FDNAMES; empty: unknown
	Network string // tcp | unix
	Address string // HOST:PORT, or an absolute path
}

var socketName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// maxSockets leaves the numbers from 100 on to files in memory.
const maxSockets = 64

// maxSocketPath is what the kernel takes of a path, less the NUL at its end.
const maxSocketPath = 107

// UnmarshalText reads tcp://HOST:PORT or unix:/PATH, after NAME= if it has a name.
func (s *Socket) UnmarshalText(text []byte) error {
	name, address, named := strings.Cut(string(text), "=")
	if !named || strings.Contains(name, ":") {
		name, address, named = "", string(text), false
	}
	if named && !socketName.MatchString(name) {
		return fmt.Errorf("want a name of letters, digits and . _ - before the =, got %q", name)
	}
	*s = Socket{Name: name}
	if rest, ok := strings.CutPrefix(address, "tcp://"); ok {
		if _, port, err := net.SplitHostPort(rest); err != nil || port == "" {
			return fmt.Errorf("want tcp://HOST:PORT or tcp://:PORT, got %q", address)
		}
		s.Network, s.Address = "tcp", rest
		return nil
	}
	rest, ok := strings.CutPrefix(address, "unix:")
	switch {
	case !ok:
		return fmt.Errorf("want tcp://HOST:PORT or unix:/PATH, got %q", address)
	case !path.IsAbs(rest) || path.Clean(rest) != rest || rest == "/":
		return fmt.Errorf("want unix: and a clean absolute path, got %q", address)
	case len(rest) > maxSocketPath:
		return fmt.Errorf("the path of a unix socket is at most %d bytes long, got %d", maxSocketPath, len(rest))
	}
	s.Network, s.Address = "unix", rest
	return nil
}

// String is the socket as it was declared, less its name.
func (s Socket) String() string {
	if s.Network == "unix" {
		return "unix:" + s.Address
	}
	return s.Network + "://" + s.Address
}

func (d *decoder) validateSockets(c *Config) {
	if len(c.Child.Sockets) > maxSockets {
		d.fault("child.sockets", "want at most %d, got %d", maxSockets, len(c.Child.Sockets))
	}
	seen := map[string]bool{}
	for i, s := range c.Child.Sockets {
		key := fmt.Sprintf("child.sockets.%d", i)
		if seen[s.String()] && s.Network != "" {
			d.fault(key, "%s is there already", s)
		}
		seen[s.String()] = true
		if s.Network == "unix" && c.HTTP.Listen == s.String() {
			d.fault(key, "http.listen has the same path")
		}
	}
}
