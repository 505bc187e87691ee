package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const defaultStopSignal = Signal(syscall.SIGTERM)

// Mode is the permission bits of a file, written in octal.
type Mode fs.FileMode

// UnmarshalText reads "0400".
func (m *Mode) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return fmt.Errorf("want permission bits in octal such as \"0400\", got %q", text)
	}
	*m = Mode(n)
	return nil
}

// Signal is a signal by name (SIGHUP, HUP) or number (1, and 34 to 64 for the
// real-time signals; 32 and 33 belong to the C library's threads).
type Signal syscall.Signal

// UnmarshalText reads a signal's name or number.
func (s *Signal) UnmarshalText(text []byte) error {
	name := strings.ToUpper(string(text))
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	n := unix.SignalNum(name)
	if n == 0 {
		number, err := strconv.Atoi(string(text))
		if err != nil || number < 1 || number > 64 || number == 32 || number == 33 {
			return fmt.Errorf("want a signal such as SIGHUP, got %q", text)
		}
		n = syscall.Signal(number)
	}
	*s = Signal(n)
	return nil
}

// parseScalar sets *target from the text of one scalar, or leaves it as it is. The
// error says what was wanted.
func parseScalar(target any, text string) error {
	switch t := target.(type) {
	case *string:
		*t = text
		return nil
	case *bool:
		return parse(t, text, strconv.ParseBool, "true or false")
	case *int:
		return parse(t, text, strconv.Atoi, "a whole number")
	case *float64:
		return parse(t, text, parseFloat, "a number")
	case *time.Duration:
		return parse(t, text, time.ParseDuration, "a duration such as 30s or 5m")
	case *slog.Level:
		return parse(t, text, parseLevel, "debug, info, warn or error")
	case interface{ UnmarshalText([]byte) error }:
		return t.UnmarshalText([]byte(text))
	case *[]string:
		return errors.New("want a list")
	default:
		return errors.New("want a map") // which may be a secret in the wrong place
	}
}

func parse[T any](target *T, text string, parser func(string) (T, error), want string) error {
	value, err := parser(text)
	if err != nil {
		return fmt.Errorf("want %s, got %q", want, text)
	}
	*target = value
	return nil
}

func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }

func parseLevel(text string) (level slog.Level, err error) {
	err = level.UnmarshalText([]byte(text))
	return level, err
}
