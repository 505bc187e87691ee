package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// files makes files of mode 0400.
func files(texts map[string]string) map[string]File {
	out := map[string]File{}
	for name, text := range texts {
		out[name] = NewFile([]byte(text), 0o400)
	}
	return out
}

func stage(t *testing.T, d *Dir, texts map[string]string) Staged {
	t.Helper()
	staged, err := d.Stage(files(texts))
	if err != nil {
		t.Fatal(err)
	}
	return staged
}

func publish(t *testing.T, d *Dir, texts map[string]string) {
	t.Helper()
	if err := stage(t, d, texts).Commit(time.Now()); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var anyGeneration = regexp.MustCompile(`\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.[A-Z2-7]{26}`)

// tree lists all below a directory with modes and targets. The generation that
// ..data names is NOW, every other is OLD.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	now, err := os.Readlink(filepath.Join(dir, "..data"))
	if err != nil {
		now = "" // none yet
	}
	var lines []string
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line := info.Mode().String() + " " + strings.TrimPrefix(path, dir+"/")
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line = strings.TrimPrefix(path, dir+"/") + " -> " + target
		}
		line = anyGeneration.ReplaceAllStringFunc(line, func(name string) string {
			if name == now {
				return "NOW"
			}
			return "OLD"
		})
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

func checkTree(t *testing.T, when, dir string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %s\nwant %s", when, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// The layout is the one of the kubelet's AtomicWriter: relative links, one per name
// at the top, by way of ..data.
func TestPublishLayout(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	d := openDir(t, dir)
	staged := stage(t, d, map[string]string{"tls.crt": "c", "tls.key": "k", "conf/a": "1", "conf/d/b": "2"})
	checkTree(
		t, "staged, and seen by nobody", dir,
		"drwx------ OLD", "-r-------- OLD/tls.crt", "-r-------- OLD/tls.key",
		"drwx------ OLD/conf", "-r-------- OLD/conf/a", "drwx------ OLD/conf/d", "-r-------- OLD/conf/d/b",
	)
	if err := staged.Commit(time.Now()); err != nil {
		t.Fatal(err)
	}
	checkTree(
		t, "committed", dir,
		"..data -> NOW", "tls.crt -> ..data/tls.crt", "tls.key -> ..data/tls.key", "conf -> ..data/conf",
		"drwx------ NOW", "-r-------- NOW/tls.crt", "-r-------- NOW/tls.key",
		"drwx------ NOW/conf", "-r-------- NOW/conf/a", "drwx------ NOW/conf/d", "-r-------- NOW/conf/d/b",
	)
	for name, want := range map[string]string{"tls.crt": "c", "tls.key": "k", "conf/a": "1", "conf/d/b": "2"} {
		if got := read(t, dir, name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// TestPublishModes is not parallel: the umask is the process's.
func TestPublishModes(t *testing.T) {
	parent := memoryDir(t)
	old := syscall.Umask(0o777)
	t.Cleanup(func() { syscall.Umask(old) })
	dir := filepath.Join(parent, "made")
	d := openDir(t, dir)
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := info.Mode().String(), "drwx------"; got != want {
		t.Errorf("the directory: got %s, want %s", got, want)
	}
	staged, err := d.Stage(map[string]File{
		"a":   NewFile([]byte("1"), 0o400),
		"b":   NewFile(nil, 0o440),
		"c/d": NewFile([]byte("3"), 0o666),
		"e":   NewFile([]byte("4"), 0o777),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := staged.Commit(time.Now()); err != nil {
		t.Fatal(err)
	}
	checkTree(
		t, "committed", dir,
		"..data -> NOW", "a -> ..data/a", "b -> ..data/b", "c -> ..data/c", "e -> ..data/e",
		"drwx------ NOW", "-r-------- NOW/a", "-r--r----- NOW/b", "drwx------ NOW/c", "-rw-rw-rw- NOW/c/d", "-rwxrwxrwx NOW/e",
	)
	d.Remove()
	if got := names(t, parent); len(got) != 0 {
		t.Errorf("after Remove: got %q, want nothing", got)
	}
}

func TestFlip(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	d := openDir(t, dir)
	publish(t, d, map[string]string{"stays": "1", "goes": "1", "sub/a": "1"})
	publish(t, d, map[string]string{"stays": "2", "comes": "2", "sub/b": "2"})
	checkTree(
		t, "the old generation stays readable, without a name", dir,
		"..data -> NOW", "stays -> ..data/stays", "comes -> ..data/comes", "sub -> ..data/sub",
		"drwx------ NOW", "-r-------- NOW/stays", "-r-------- NOW/comes", "drwx------ NOW/sub", "-r-------- NOW/sub/b",
		"drwx------ OLD", "-r-------- OLD/stays", "-r-------- OLD/goes", "drwx------ OLD/sub", "-r-------- OLD/sub/a",
	)
	if got, want := read(t, dir, "stays"), "2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	publish(t, d, nil)
	if got := d.Sweep(time.Now().Add(time.Hour)); !got.IsZero() {
		t.Errorf("sweep: got %s, want nothing left to sweep", got)
	}
	checkTree(t, "no file is declared any more", dir, "..data -> NOW", "drwx------ NOW")
}

func TestSweepAfterGrace(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	d := openDir(t, dir) // with a grace of a minute
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	second := func(n int) time.Time { return start.Add(time.Duration(n) * time.Second) }
	for i := range 3 { // flips away from a generation at seconds 10 and 20
		if err := stage(t, d, map[string]string{"a": fmt.Sprint(i)}).Commit(second(10 * i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		at, generations int
		next            time.Time
	}{
		{20, 3, second(70)},
		{69, 3, second(70)},
		{70, 2, second(80)},
		{79, 2, second(80)},
		{80, 1, time.Time{}},
		{999, 1, time.Time{}}, // the present one has no end
	} {
		next := d.Sweep(second(test.at))
		got := len(slices.DeleteFunc(names(t, dir), func(name string) bool { return !generationName.MatchString(name) }))
		if got != test.generations || !next.Equal(test.next) {
			t.Errorf("at second %d: got %d generations, next sweep %s, want %d, %s", test.at, got, next, test.generations, test.next)
		}
	}
	if got, want := read(t, dir, "a"), "2"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDiscard(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	d := openDir(t, dir)
	publish(t, d, map[string]string{"a": "1"})
	stage(t, d, map[string]string{"a": "2", "b/c": "2"}).Discard()
	checkTree(t, "discarded", dir, "..data -> NOW", "a -> ..data/a", "drwx------ NOW", "-r-------- NOW/a")
}

func TestRemove(t *testing.T) {
	t.Parallel()
	parent := memoryDir(t)
	dir := filepath.Join(parent, "made")
	d := openDir(t, dir)
	publish(t, d, map[string]string{"a": "1", "b/c": "1"})
	publish(t, d, map[string]string{"a": "2", "b/c": "2"})
	stage(t, d, map[string]string{"a": "3"})
	d.Remove()
	checkTree(t, "all is ours", parent)

	d = openDir(t, dir)
	publish(t, d, map[string]string{"a": "1"})
	write(t, filepath.Join(dir, "theirs"), "text")
	mkdir(t, filepath.Join(dir, "..theirs"))
	symlink(t, "theirs", filepath.Join(dir, "link"))
	d.Remove()
	checkTree(
		t, "what others put there survives", parent,
		"drwx------ made", "-rw------- made/theirs", "drwx------ made/..theirs", "made/link -> theirs",
	)

	d = openDir(t, dir)
	for _, name := range []string{"theirs", "..theirs", "link"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	d.Remove()
	checkTree(t, "and so does a directory that was there before us", parent, "drwx------ made")
	openDir(t, dir) // it is unlocked
}

func TestStageRefusesWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(t *testing.T, path string){
		"a file":           func(t *testing.T, path string) { write(t, path, "theirs") },
		"a directory":      mkdir,
		"a link elsewhere": func(t *testing.T, path string) { symlink(t, "/etc/hostname", path) },
		"a link beside it": func(t *testing.T, path string) { symlink(t, "..data/b", path) },
		"an absolute link": func(t *testing.T, path string) { symlink(t, filepath.Dir(path)+"/..data/z", path) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := memoryDir(t)
			put(t, filepath.Join(dir, "z"))
			before := tree(t, dir)
			d := openDir(t, dir)
			_, err := d.Stage(files(map[string]string{"a": canary, "z/y": canary}))
			want := `staging files in "` + dir + `": "z" is in the way: it is not a link of ours`
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			checkTree(t, "after it", dir, before...)
			d.Remove()
			checkTree(t, "after Remove", dir, before...)
		})
	}
}

// Names that no declaration can have are still kept in the directory.
func TestStageStaysInside(t *testing.T) {
	t.Parallel()
	parent := memoryDir(t)
	d := openDir(t, filepath.Join(parent, "made"))
	for _, name := range []string{"../../outside", "a/../../../outside", "a/b\x00", "a/b\x00/c"} {
		if _, err := d.Stage(files(map[string]string{name: canary})); err == nil || leaks(err.Error()) {
			t.Errorf("%q: got %v, want an error that does not leak", name, err)
		}
	}
	checkTree(t, "after it", parent, "drwx------ made")
}

// The rules of a declaration refuse it, and the directory does not rely on them.
func TestStageRefusesAFileThatIsADirectory(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	d := openDir(t, dir)
	_, err := d.Stage(files(map[string]string{"a": canary, "a/b": canary}))
	if want := `staging files in "` + dir + `": `; err == nil || !strings.HasPrefix(err.Error(), want) || leaks(err.Error()) {
		t.Errorf("got %v, want %s…", err, want)
	}
	checkTree(t, "after it", dir)
}

// A killed kmsrun leaves all there is: retired and staged generations, a half-made
// flip, and names of its last generation.
func TestRecoverFromAKilledPredecessor(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	killed := openDir(t, dir)
	publish(t, killed, map[string]string{"a": "1"})
	publish(t, killed, map[string]string{"a": "2", "gone": "2"})
	stage(t, killed, map[string]string{"a": "3"})
	symlink(t, "..2026_01_02_03_04_05.ABC", filepath.Join(dir, "..data_tmp"))
	symlink(t, "..data/half", filepath.Join(dir, "half")) // made for a flip that never came
	write(t, filepath.Join(dir, "theirs"), "text")
	mkdir(t, filepath.Join(dir, "..2026_theirs"))
	killed.release()

	d := openDir(t, dir)
	checkTree(
		t, "opened: the present generation stands", dir,
		"..data -> NOW", "a -> ..data/a", "gone -> ..data/gone", "half -> ..data/half", "-rw------- theirs", "drwx------ ..2026_theirs",
		"drwx------ NOW", "-r-------- NOW/a", "-r-------- NOW/gone",
	)
	publish(t, d, map[string]string{"a": "4"})
	checkTree(
		t, "flipped: it has its grace", dir,
		"..data -> NOW", "a -> ..data/a", "-rw------- theirs", "drwx------ ..2026_theirs",
		"drwx------ NOW", "-r-------- NOW/a", "drwx------ OLD", "-r-------- OLD/a", "-r-------- OLD/gone",
	)
	d.Sweep(time.Now().Add(time.Hour))
	checkTree(
		t, "swept", dir,
		"..data -> NOW", "a -> ..data/a", "-rw------- theirs", "drwx------ ..2026_theirs", "drwx------ NOW", "-r-------- NOW/a",
	)
}

func TestCommitFailureKeepsTheOldGeneration(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	d := openDir(t, dir)
	publish(t, d, map[string]string{"a": "1", "b": "1"})
	inTheWay := filepath.Join(dir, "..data_tmp")
	mkdir(t, inTheWay)
	write(t, filepath.Join(inTheWay, "theirs"), "text")
	before := tree(t, dir)

	err := stage(t, d, map[string]string{"a": "2", "c": "2"}).Commit(time.Now())
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want %v", err, fs.ErrExist)
	}
	checkTree(t, "after the failure", dir, before...)
	if got, want := read(t, dir, "a"), "1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if next := d.Sweep(time.Now().Add(time.Hour)); !next.IsZero() {
		t.Errorf("next sweep: got %s, want none", next)
	}
	checkTree(t, "nothing was retired", dir, before...)

	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	publish(t, d, map[string]string{"a": "3", "c": "3"})
	d.Sweep(time.Now().Add(time.Hour))
	checkTree(
		t, "the next commit", dir,
		"..data -> NOW", "a -> ..data/a", "c -> ..data/c", "drwx------ NOW", "-r-------- NOW/a", "-r-------- NOW/c",
	)
}

func TestCommitFailureOfTheRename(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	mkdir(t, filepath.Join(dir, "..data"))
	write(t, filepath.Join(dir, "..data", "a"), "theirs")
	before := tree(t, dir)
	d := openDir(t, dir)
	err := stage(t, d, map[string]string{"a": canary}).Commit(time.Now())
	if want := `publishing files in "` + dir + `": `; err == nil || !strings.HasPrefix(err.Error(), want) || leaks(err.Error()) {
		t.Errorf("got %v, want %s…", err, want)
	}
	checkTree(t, "after the failure", dir, before...)
}

// A reader that resolves ..data once sees the files of one generation, whole,
// whatever flips go on meanwhile.
func TestReadersSeeOneGeneration(t *testing.T) {
	t.Parallel()
	const (
		flips = 2000
		lines = 512 // a page and more, so that a write is not one step
	)
	dir := memoryDir(t)
	d := openDir(t, dir)
	text := func(n int) string { return strings.Repeat(fmt.Sprintf("%08d\n", n), lines) }
	publish(t, d, map[string]string{"a": text(0), "b": text(0)})

	var done atomic.Bool
	var reads atomic.Int64
	readPair := func() (a, b string, err error) {
		generation, err := os.OpenRoot(filepath.Join(dir, "..data"))
		if err != nil {
			return "", "", err
		}
		first, errA := generation.ReadFile("a")
		second, errB := generation.ReadFile("b")
		return string(first), string(second), errors.Join(errA, errB, generation.Close())
	}
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !done.Load() {
				a, b, err := readPair()
				if err != nil || a != b || len(a) != len(text(0)) || a != strings.Repeat(a[:9], lines) {
					t.Errorf("got a of %d bytes and b of %d, %v, want the same whole text twice", len(a), len(b), err)
					return
				}
				reads.Add(1)
			}
		})
	}
	func() {
		defer readers.Wait()
		defer done.Store(true)
		for n := range flips {
			publish(t, d, map[string]string{"a": text(n + 1), "b": text(n + 1)})
		}
	}()
	if reads.Load() == 0 {
		t.Error("got no read between the flips, want some")
	}
	d.Sweep(time.Now().Add(time.Hour))
	checkTree(
		t, "swept", dir,
		"..data -> NOW", "a -> ..data/a", "b -> ..data/b", "drwx------ NOW", "-r-------- NOW/a", "-r-------- NOW/b",
	)
}
