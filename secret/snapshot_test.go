package secret

import (
	"slices"
	"testing"
	"time"
)

func value(text, version string) Value {
	return NewValue([]byte(text), version, nil, time.Time{})
}

func TestSnapshotIsImmutable(t *testing.T) {
	t.Parallel()
	a, b := ID{Name: "a"}, ID{Name: "b"}
	empty := Snapshot{}
	first := empty.With(a, value("1", "v1"))
	second := first.With(a, value("2", "v2")).With(b, value("3", "v1"))

	if _, ok := empty.Get(a); ok || len(empty.IDs()) != 0 {
		t.Errorf("empty: got %v, want nothing", empty.IDs())
	}
	if v, ok := first.Get(a); !ok || string(v.Bytes()) != "1" {
		t.Errorf("first: got version %q, %t, want v1", v.Version, ok)
	}
	if _, ok := first.Get(b); ok {
		t.Error("first: got b, want it in the second only")
	}
	if v, ok := second.Get(a); !ok || string(v.Bytes()) != "2" {
		t.Errorf("second: got version %q, %t, want v2", v.Version, ok)
	}
}

func TestSnapshotChanged(t *testing.T) {
	t.Parallel()
	a, b, c := ID{Name: "a"}, ID{Name: "b"}, ID{Name: "c"}
	before := Snapshot{}.With(b, value("1", "v1")).With(a, value("1", "v1"))
	for name, test := range map[string]struct {
		now  Snapshot
		want []ID
	}{
		"nothing":          {before, nil},
		"the same again":   {before.With(a, value("1", "v1")), nil},
		"new id":           {before.With(c, value("1", "v1")), []ID{c}},
		"other version":    {before.With(a, value("1", "v2")), []ID{a}},
		"other bytes":      {before.With(b, value("2", "v1")), []ID{b}},
		"all, sorted":      {before.With(c, value("", "")).With(b, value("", "")).With(a, value("", "")), []ID{a, b, c}},
		"gone is no news":  {Snapshot{}, nil},
		"changed and back": {before.With(a, value("2", "v2")).With(a, value("1", "v1")), nil},
	} {
		if got := test.now.Changed(before); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
}

func TestSnapshotIDsAreSorted(t *testing.T) {
	t.Parallel()
	arn := ID{Region: "r", Account: "1", Name: "a", Stage: StageCurrent}
	current, previous := ID{Name: "a", Stage: StageCurrent}, ID{Name: "a", Stage: "ACSPrevious"}
	pinned, other := ID{Name: "a", Version: "1"}, ID{Name: "b", Stage: StageCurrent}
	want := []ID{arn, current, previous, pinned, other}
	var s Snapshot
	for _, id := range slices.Backward(want) {
		s = s.With(id, Value{})
	}
	if got := s.IDs(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
