package inject

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestHoldPutsOffARollback of a program that lives, until the release.
func TestHoldPutsOffARollback(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := begin(t, v, watched+"on_change: {files: SIGHUP}\nfiles: {items: {f: kms://f}}\nhealth: {settle: 10ms, within: 2s, interval: 100ms, exec: [\"false\"]}", dies)
	r.says("start ")
	v.put("f", "v2", "two")
	r.says("hup")
	r.exec.State().Hold(true)
	r.logs("on hold")
	r.polls(v, 25) // of 100ms each, or more
	if r.file("f") != "two" || strings.Contains(r.said(), "term") {
		t.Errorf("on hold: the file is %q, the program said %q", r.file("f"), r.said())
	}
	r.exec.State().Hold(false)
	r.logs("reason=rollback")
	if got := r.file("f"); got != "one" {
		t.Errorf("released: the file is %q, want one", got)
	}
	r.end()
}

// TestFlipsBackInTheEnd: files that failed verification, and can't be flipped back at
// once, keep everything else waiting until they are.
func TestFlipsBackInTheEnd(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := begin(t, v, watched+"on_change: {files: SIGHUP}\nfiles: {items: {f: kms://f}}\n"+
		`verify: {when: after, exec: [sh, -c, 'grep -q bad $SECRETS_DIR/f && { rm $SECRETS_DIR/f; echo mine >$SECRETS_DIR/f; exit 1; }; exit 0']}`, dies)
	r.says("start ")
	v.put("f", "v2", "bad")
	r.logs("can't be published again; trying on")
	v.put("f", "v3", "three")
	r.polls(v, 5)
	if strings.Contains(r.said(), "hup") {
		t.Error("the program was told")
	}
	if err := os.Remove(filepath.Join(r.exec.Config.Files.Dir, "f")); err != nil {
		t.Fatal(err)
	}
	r.says("hup")
	if got := r.file("f"); got != "three" {
		t.Errorf("got %q, want three", got)
	}
	r.end()
}
