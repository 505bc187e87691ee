package inject

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
)

// runWith runs a shell script to its end, with the files in memory, and returns what
// it wrote to $OUT.
func runWith(t *testing.T, m memoryFiles, script string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	environ := append(m.environ(), "PATH="+os.Getenv("PATH"), "OUT="+out)
	p, err := newProgram([]string{"/bin/sh", "-c", "{ " + script + "; } >$OUT 2>&1"}, config.Child{})
	if err != nil {
		t.Fatal(err)
	}
	child, err := p.start(table(), environ, nil, m.all()...)
	if err != nil {
		t.Fatal(err)
	}
	<-child.Done()
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMemoryFiles(t *testing.T) {
	t.Parallel()
	m := memoryFiles{}
	defer func() { _ = m.set(nil) }()
	big := strings.Repeat("x", 100_000)
	if err := m.set(map[string][]byte{"A": []byte("one"), "B": []byte(big), "EMPTY": {}}); err != nil {
		t.Fatal(err)
	}
	if got := runWith(t, m, `cat $A; cat $B | wc -c; cat $A; cat $EMPTY; echo; readlink $A; echo $A`); !regexp.MustCompile(
		`^one100000\none\n/memfd:kmsrun \(deleted\)\n/proc/self/fd/\d{3,}\n$`).MatchString(got) {
		t.Errorf("got %q, want the contents, each time from the start, and no path on a filesystem", got)
	}
	if got := runWith(t, m, `echo two >>$A || echo refused; cat $A`); !strings.HasSuffix(got, "refused\none") {
		t.Errorf("got %q, want a file that can't be written to", got)
	}
	before := m.environ()
	if err := m.set(map[string][]byte{"A": []byte("two"), "B": []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if got, want := runWith(t, m, `cat $A $B; echo "$EMPTY."`), "twob.\n"; got != want {
		t.Errorf("at the next start: got %q, want %q", got, want)
	}
	if got := m.environ(); !slices.Equal(got, before[:2]) {
		t.Errorf("got %q, want the numbers of the first start, %q", got, before)
	}
}

func TestMemoryFilesAreSealed(t *testing.T) {
	t.Parallel()
	m := memoryFiles{}
	defer func() { _ = m.set(nil) }()
	if err := m.set(map[string][]byte{"A": []byte("one")}); err != nil {
		t.Fatal(err)
	}
	seals, err := unix.FcntlInt(m["A"].Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&allSeals != allSeals {
		t.Errorf("got seals %#x, %v, want %#x", seals, err, allSeals)
	}
	if err := m["A"].Truncate(1); err == nil {
		t.Error("got a file that can be cut")
	}
	if err := unix.Ftruncate(int(m["A"].Fd()), 100); err == nil {
		t.Error("got a file that can be made longer")
	}
}

// A program that is started beside the program gets none of the files; what we
// inherited passes to both under its own number.
func TestMemoryFilesLeaveOthersAlone(t *testing.T) {
	inherited, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	if _, err := io.WriteString(w, "inherited\n"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	taken, err := unix.FcntlInt(inherited.Fd(), unix.F_DUPFD, firstMemoryFile) // passes execve
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(taken)
	m := memoryFiles{}
	defer func() { _ = m.set(nil) }()
	if err := m.set(map[string][]byte{"A": []byte("secret")}); err != nil {
		t.Fatal(err)
	}
	if int(m["A"].Fd()) == taken {
		t.Fatalf("got number %d, which was inherited", taken)
	}
	path := m.environ()[0][len("A="):]
	got := runWith(t, memoryFiles{}, "cat "+path+" || echo none")
	if strings.Contains(got, "secret") || !strings.HasSuffix(got, "none\n") {
		t.Errorf("another program: got %q, want no such file", got)
	}
	if got := runWith(t, m, fmt.Sprintf("cat $A; cat /proc/self/fd/%d", taken)); got != "secretinherited\n" {
		t.Errorf("got %q, want what was inherited beside it", got)
	}
}
