package emulator

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"
)

// The label machine of, as a list of steps from v1[ACSCurrent]. A step is "put ID [LABELS]" or "move LABEL FROM TO",
// "-" being nothing.
func TestLabels(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, steps, want string
	}{
		{"put", "put v2", "v1[ACSPrevious] v2[ACSCurrent]"},
		{"two puts", "put v2; put v3", "v1[] v2[ACSPrevious] v3[ACSCurrent]"},
		{"put with custom label", "put v2 [\"x\"]", "v1[ACSCurrent] v2[x]"},
		{"custom label moves with a put", "put v2 [\"x\"]; put v3 [\"x\"]", "v1[ACSCurrent] v2[] v3[x]"},
		{"custom label stays", "put v2 [\"ACSCurrent\",\"x\"]; put v3; put v4", "v1[] v2[x] v3[ACSPrevious] v4[ACSCurrent]"},
		{"object form", "put v2 {\"VersionStage\":[\"x\"]}", "v1[ACSCurrent] v2[x]"},
		{"both system labels", "put v2 [\"ACSPrevious\",\"ACSCurrent\"]", "v1[] v2[ACSPrevious ACSCurrent]"},
		{"same label twice", "put v2 [\"x\",\"x\"]", "v1[ACSCurrent] v2[x]"},
		{"repeated put is ignored", "put v2; put v1", "v1[ACSPrevious] v2[ACSCurrent]"},
		{"repeated put applies labels", "put v2; put v1 [\"ACSCurrent\",\"x\"]", "v1[ACSCurrent x] v2[ACSPrevious]"},
		{"back", "put v2; move ACSCurrent v2 v1", "v1[ACSCurrent] v2[ACSPrevious]"},
		{"back to a deprecated one", "put v2; put v3; move ACSCurrent - v1", "v1[ACSCurrent] v2[] v3[ACSPrevious]"},
		{"move to where it is", "put v2; move ACSCurrent v2 v2", "v1[ACSPrevious] v2[ACSCurrent]"},
		{"previous moves alone", "put v2; put v3; move ACSPrevious v2 v1", "v1[ACSPrevious] v2[] v3[ACSCurrent]"},
		{"put on", "move x - v1", "v1[ACSCurrent x]"},
		{"move", "put v2; move x - v1; move x v1 v2", "v1[ACSPrevious] v2[ACSCurrent x]"},
		{"move without from", "put v2; move x - v1; move x - v2", "v1[ACSPrevious] v2[ACSCurrent x]"},
		{"take off", "move x - v1; move x v1 -", "v1[ACSCurrent]"},
		{
			"eleventh version", "put v2; put v3; put v4; put v5; put v6; put v7; put v8; put v9; put v10; put v11",
			"v2[] v3[] v4[] v5[] v6[] v7[] v8[] v9[] v10[ACSPrevious] v11[ACSCurrent]",
		},
		{
			"labelled ones stay", "move a - v1; put v2; move b - v2; put v3; put v4; put v5; put v6; put v7; put v8; put v9; put v10; put v11",
			"v1[a] v2[b] v4[] v5[] v6[] v7[] v8[] v9[] v10[ACSPrevious] v11[ACSCurrent]",
		},
		{
			"six custom labels", "put v2 [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]; put v3; put v4",
			"v1[] v2[a b c d e f] v3[ACSPrevious] v4[ACSCurrent]",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.create()
			for step := range strings.SplitSeq(tc.steps, "; ") {
				words := append(strings.Split(strings.ReplaceAll(step, " -", " "), " "), "")
				if words[0] == "put" {
					b.must("PutSecretValue", "SecretName", "s", "VersionId", words[1], "SecretData", canary+"-"+words[1], "VersionStages", words[2])
					continue
				}
				b.must("UpdateSecretVersionStage", "SecretName", "s", "VersionStage", words[1], "RemoveFromVersion", words[2], "MoveToVersion", words[3])
			}
			if got := b.stages(); got != tc.want {
				t.Errorf("labels = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestDeprecatedVersionsAreHidden(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create()
	for _, id := range []string{"v2", "v3"} {
		b.must("PutSecretValue", "SecretName", "s", "VersionId", id, "SecretData", canary)
	}
	var reply versionsReply
	decode(t, b.must("ListSecretVersionIds", "SecretName", "s"), &reply)
	if got, want := reply.TotalCount, 2; got != want {
		t.Errorf("TotalCount = %d, want %d", got, want)
	}
	if got := b.must("GetSecretValue", "SecretName", "s", "VersionId", "v1"); !strings.Contains(got, `"VersionStages":{"VersionStage":[]}`) {
		t.Errorf("a version without labels = %s, want an empty list", got)
	}
}

// Whatever happens, one version is current, a label is on one version, there are at most ten versions and eight labels.
func TestLabelInvariants(t *testing.T) {
	t.Parallel()
	for seed := range int64(8) {
		rnd := rand.New(rand.NewSource(seed))
		labels := []string{stageCurrent, stagePrevious, "a", "b", "c", "d", "e", "f", "g", "h"}
		pick := func(from []string) string { return from[rnd.Intn(len(from))] }
		k := newKey("k", "")
		k.turn(time.Time{})
		first := &version{id: "v0", stages: []string{stageCurrent}}
		first.close(&k, &facts{})
		s := &secret{versions: []*version{first}}
		var faults int
		for step := range 3000 {
			ids := []string{"", "none"}
			for _, v := range s.versions {
				ids = append(ids, v.id)
			}
			before := snapshot(s)
			var err error
			switch rnd.Intn(4) {
			case 0:
				_, err = s.put(&k, version{id: fmt.Sprint("v", step)}, nil)
			case 1:
				_, err = s.put(&k, version{id: fmt.Sprint("v", step)}, []string{pick(labels), pick(labels)})
			case 2:
				_, err = s.put(&k, version{id: ids[2+rnd.Intn(len(ids)-2)]}, []string{pick(labels)})
			case 3:
				err = s.move(pick(labels), pick(ids), pick(ids))
			}
			if err != nil {
				faults++
				if after := snapshot(s); after != before {
					t.Fatalf("seed %d step %d: refused with %v, but %s became %s", seed, step, err, before, after)
				}
			}
			if broken := invariant(s); broken != "" {
				t.Fatalf("seed %d step %d: %s in %s", seed, step, broken, snapshot(s))
			}
		}
		if faults == 0 || faults > 2500 {
			t.Errorf("seed %d: %d of 3000 steps were refused: the test tests nothing", seed, faults)
		}
	}
}

func snapshot(s *secret) string {
	var all []string
	for _, v := range s.versions {
		all = append(all, fmt.Sprint(v.id, v.stages))
	}
	return strings.Join(all, " ")
}

func invariant(s *secret) string {
	holders := map[string]int{}
	ids := map[string]bool{}
	for _, v := range s.versions {
		ids[v.id] = true
		for _, label := range v.stages {
			holders[label]++
		}
	}
	for label, n := range holders {
		if n > 1 {
			return fmt.Sprintf("%d times label %s", n, label)
		}
	}
	switch {
	case holders[stageCurrent] != 1:
		return "no current version"
	case len(holders) > 8:
		return "more than eight labels"
	case len(s.versions) > maxVersions:
		return "more than ten versions"
	case len(ids) != len(s.versions):
		return "two versions of one id"
	case !slices.ContainsFunc(s.versions, func(v *version) bool { return len(v.stages) > 0 }):
		return "no labels"
	}
	return ""
}
