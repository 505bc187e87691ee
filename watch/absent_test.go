package watch

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// absence is a failure of what is not there.
type absence struct{ failed }

func (absence) Absent() bool { return true }

var errAbsent = absence{failed{why: "not found"}}

func TestOrAbsent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err         error
		dispensable bool
		absent      bool
		want        error
	}{
		"there":                {nil, true, false, nil},
		"may lack":             {errAbsent, true, true, nil},
		"must be there":        {errAbsent, false, false, errAbsent},
		"denied is no lack":    {errRefused, true, false, errRefused},
		"an outage is no lack": {errOutage, true, false, errOutage},
	} {
		fetch := OrAbsent(func(_, _ context.Context, _ secret.ID) (secret.Value, error) { return secret.Value{}, test.err },
			func(secret.ID) bool { return test.dispensable })
		v, err := fetch(t.Context(), t.Context(), secret.ID{Name: "a"})
		if v.Absent != test.absent || !errors.Is(err, test.want) {
			t.Errorf("%s: got absent %t, %v, want %t, %v", name, v.Absent, err, test.absent, test.want)
		}
	}
}

// What is not there yet is no trouble, and news when it comes. What was there and is
// gone keeps its last value, as after any failure.
func TestAbsentSecretComesAndGoes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := newSource("a")
		s.values["a"] = secret.Value{Absent: true}
		s.fail(errAbsent, "a")
		b := watching(t.Context(), config.Default().Watch, s)
		b.wantNext(t) // nothing for an hour
		synctest.Wait()
		if got := b.log.String(); got != "" {
			t.Errorf("log: got %s, want none", got)
		}
		b.set("a", value("v1"))
		b.fail(nil, "a")
		b.wantNext(t, "a=v1")
		b.fail(errAbsent, "a")
		b.wantNext(t)
		synctest.Wait()
		if b.log.Len() == 0 {
			t.Error("log: got none, want a line about the secret that is gone")
		}
	})
}
