package inject

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

type fault struct{ cause, text string }

func (f fault) Error() string       { return f.text }
func (f fault) Cause() string       { return f.cause }
func (f fault) ForMany(n int) error { return fault{f.cause, fmt.Sprint(n, " times ", f.cause)} }

func TestByCause(t *testing.T) {
	t.Parallel()
	failures := []error{
		&unread{[]string{"env A"}, fault{"login", "a"}},
		&unread{[]string{"env B"}, fault{"", "missing"}},
		&unread{[]string{"env C", "file d"}, fault{"login", "b"}},
		&unread{[]string{"env E"}, fault{"", "missing"}},
		&unread{[]string{"env F"}, fault{"network", "alone"}},
		errors.New("another"),
		&unread{[]string{"1", "2", "3", "4", "5"}, fault{"login", "c"}},
	}
	var got []string
	for _, err := range byCause(failures) {
		got = append(got, err.Error())
	}
	want := []string{
		"env A, env C, file d, 1, 2, 3 and 2 more: 3 times login", "env B: missing", "env E: missing", "env F: alone", "another",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got, want := failures[0].Error(), "env A: a"; got != want {
		t.Errorf("what went in: got %q, want %q", got, want)
	}
}
