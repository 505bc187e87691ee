package config

import (
	"log/slog"
	"reflect"
	"syscall"
	"testing"
	"time"
)

func TestParseScalar(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text         string
		target, want any
	}{
		{"true", new(bool), new(true)},
		{"7", new(int), new(7)},
		{"0.5", new(float64), new(0.5)},
		{"1m30s", new(time.Duration), new(90 * time.Second)},
		{"Warn", new(slog.Level), new(slog.LevelWarn)},
		{"0400", new(Mode), new(Mode(0o400))},
		{"777", new(Mode), new(Mode(0o777))},
		{"SIGHUP", new(Signal), new(Signal(syscall.SIGHUP))},
		{"hup", new(Signal), new(Signal(syscall.SIGHUP))},
		{"9", new(Signal), new(Signal(syscall.SIGKILL))},
		{"64", new(Signal), new(Signal(64))},
		{"none", &FileAction{Restart: true}, &FileAction{None: true}},
		{"restart", &FileAction{Signal: 1}, &FileAction{Restart: true}},
		{"usr1", &FileAction{Restart: true}, &FileAction{Signal: Signal(syscall.SIGUSR1)}},
	} {
		if err := parseScalar(test.target, test.text); err != nil || !reflect.DeepEqual(test.target, test.want) {
			t.Errorf("%q: got %+v, %v, want %+v", test.text, reflect.ValueOf(test.target).Elem(), err, reflect.ValueOf(test.want).Elem())
		}
	}
}

// A refused text leaves the target alone, so that no rule finds a second fault in
// the same key.
func TestParseScalarRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text              string
		target, unchanged any
		want              string
	}{
		{"yes", new(true), new(true), `want true or false, got "yes"`},
		{"1e3", new(7), new(7), `want a whole number, got "1e3"`},
		{"9223372036854775808", new(7), new(7), `want a whole number, got "9223372036854775808"`},
		{"half", new(0.5), new(0.5), `want a number, got "half"`},
		{"30", new(time.Minute), new(time.Minute), `want a duration such as 30s or 5m, got "30"`},
		{"trace", new(slog.LevelWarn), new(slog.LevelWarn), `want debug, info, warn or error, got "trace"`},
		{"0", new(Mode(7)), new(Mode(7)), `want permission bits in octal such as "0400", got "0"`},
		{"01777", new(Mode(7)), new(Mode(7)), `want permission bits in octal such as "0400", got "01777"`},
		{"u+r", new(Mode(7)), new(Mode(7)), `want permission bits in octal such as "0400", got "u+r"`},
		{"0", new(Signal(1)), new(Signal(1)), `want a signal such as SIGHUP, got "0"`},
		{"65", new(Signal(1)), new(Signal(1)), `want a signal such as SIGHUP, got "65"`},
		{"", new(Signal(1)), new(Signal(1)), `want a signal such as SIGHUP, got ""`},
		{"exit", &FileAction{Signal: 1}, &FileAction{Signal: 1}, `want none, restart, a signal such as SIGHUP, or a mapping with signal, exec, http or touch; got "exit"`},
	} {
		err := parseScalar(test.target, test.text)
		if err == nil || err.Error() != test.want {
			t.Errorf("%q: got %v, want %s", test.text, err, test.want)
		}
		if !reflect.DeepEqual(test.target, test.unchanged) {
			t.Errorf("%q: got %+v, want it unchanged", test.text, reflect.ValueOf(test.target).Elem())
		}
	}
}
