package emulator

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	envKillState = "KMSRUN_TEST_KILL_STATE" // set in the child: its state file
	envKillFrom  = "KMSRUN_TEST_KILL_FROM"  // and its first step
	envKills     = "KMSRUN_TEST_KILLS"      // how often to kill; default 50
)

// killStep makes the i-th of an endless row of changes, each of which always succeeds. Eight secrets at most are there
// at once, so that a write costs the same however many there were.
func killStep(b *bench, i int) {
	round := i / 6
	name, oldest := fmt.Sprint("s", round%8), fmt.Sprint("s", (round+1)%8)
	id := fmt.Sprint("v", i)
	switch i % 6 {
	case 0:
		b.must("CreateSecret", "SecretName", name, "VersionId", id, "SecretData", canary+id, "EncryptionKeyId", "k")
	case 1:
		b.must("PutSecretValue", "SecretName", name, "VersionId", id, "SecretData", canary+id, "VersionStages", `["ACSCurrent","x"]`)
	case 2:
		b.must("TagResources", "RegionId", "r", "ResourceType", "secret", "ResourceId.1", name, "Tag.1.Key", "step", "Tag.1.Value", id)
	case 3:
		b.must([]string{"EnableKey", "DisableKey"}[round%2], "KeyId", "other")
	case 4:
		b.must("UpdateKeyDescription", "KeyId", "other", "Description", id)
	case 5:
		if round >= 7 {
			b.must("DeleteSecret", "SecretName", oldest, "ForceDeleteWithoutRecovery", "true")
		}
	}
}

// told is all that clients can see of the state, but for times and what is drawn at random.
func (b *bench) told() string {
	b.t.Helper()
	var all []string
	for _, id := range slices.Sorted(maps.Keys(b.store.keys)) {
		k := b.store.keys[id]
		all = append(all, fmt.Sprint(id, " ", k.state, " ", k.description, " ", len(k.versions)))
	}
	for _, name := range slices.Sorted(maps.Keys(b.store.secrets)) {
		s := b.store.secrets[name]
		k, err := b.store.keyFor(&s.facts)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, fmt.Sprint(name, " ", s.tags))
		for _, v := range s.versions {
			data, err := v.reveal(k, &s.facts)
			if err != nil {
				b.t.Fatal(err)
			}
			all = append(all, fmt.Sprint(" ", v.id, v.stages, strings.Replace(data, canary, "", 1)))
		}
	}
	return strings.Join(all, "\n")
}

// TestKillChild is no test but the process that TestKills kills: it makes changes and tells of each when it is answered.
func TestKillChild(t *testing.T) {
	path := os.Getenv(envKillState)
	if path == "" {
		return
	}
	b := &bench{t: t}
	b.clock.Store(time.Now().UnixNano())
	if err := b.restart(path); err != nil {
		t.Fatal(err)
	}
	from, _ := strconv.Atoi(os.Getenv(envKillFrom))
	for i := from; ; i++ {
		killStep(b, i)
		_, _ = fmt.Println("done", i)
	}
}

// killOne lets a process make changes from a step on and kills it at some moment after a number of them. It returns the
// first step that it did not tell of.
func killOne(t *testing.T, path string, from, count int) int {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestKillChild$")
	child.Env = append(os.Environ(), envKillState+"="+path, fmt.Sprint(envKillFrom, "=", from))
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines, next, rest := bufio.NewScanner(out), from, strings.Builder{}
	for lines.Scan() {
		done, ok := strings.CutPrefix(lines.Text(), "done ")
		if !ok {
			_, _ = rest.WriteString(lines.Text() + "\n")
			continue
		}
		if i, err := strconv.Atoi(done); err == nil {
			next = i + 1
		}
		if next == from+count { // the moment itself is left to chance: some write is always under way
			time.AfterFunc(rand.N(time.Millisecond), func() { _ = child.Process.Kill() })
		}
	}
	_, _ = io.Copy(io.Discard, out)
	if err := child.Wait(); err == nil || next < from+count {
		t.Fatalf("the process ended by itself after step %d, %v:\n%s", next-1, err, rest.String())
	}
	return next
}

// Whenever a process is killed, the file has the state before or after the change that it did not tell of.
func TestKills(t *testing.T) {
	t.Parallel()
	kills := 50
	path := filepath.Join(t.TempDir(), "state") // on a disk, if there is one: there a write takes its time
	if text := os.Getenv(envKills); text != "" {
		kills, _ = strconv.Atoi(text)
	}
	want := newBench(t)
	keys := func(b *bench) {
		for _, id := range []string{"k", "other"} {
			b.store.addKey(newKey(id, ""))
		}
	}
	keys(want)
	b := newBench(t)
	b.openState(path)
	if err := b.commit(func() error { keys(b); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var after, torn int
	made := 0 // steps that want has made
	for range kills {
		next := killOne(t, path, made, 1+rand.N(12))
		if _, err := os.Stat(path + ".tmp"); err == nil {
			torn++
		}
		got := newBench(t)
		got.openState(path)
		for ; made < next; made++ {
			killStep(want, made)
		}
		if got.told() != want.told() {
			killStep(want, made)
			made++
			after++
		}
		if got, want := got.told(), want.told(); got != want {
			t.Fatalf("after step %d was told:\n%s\nwant this, or the state before:\n%s", next-1, got, want)
		}
		if err := got.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills in %d changes: %d left the state after the one under way, %d a half-made file beside it", kills, made, after, torn)
}

// openState opens the file or fails the test.
func (b *bench) openState(path string) {
	b.t.Helper()
	if err := b.OpenState(path); err != nil {
		b.t.Fatal(err)
	}
}
