package render

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// publisher builds testdata/publisher with crash points.
var publisher = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "publisher")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "publisher")
	cmd := exec.Command("go", "build", "-tags", "crashpoints", "-o", path, "./testdata/publisher")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the publisher: %w\n%s", err, output)
	}
	return path, nil
})

func publisherIn(t *testing.T, dir string, grace time.Duration, from, to int) *exec.Cmd {
	t.Helper()
	path, err := publisher()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, dir, grace.String(), strconv.Itoa(from), strconv.Itoa(to))
	cmd.Stderr = t.Output()
	return cmd
}

// A publish is killed at every step that there is. What is shown after it is whole,
// and the next start finds its way.
func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for step, more := 1, true; more; step++ {
		dir := filepath.Join(memoryDir(t), "files")
		if err := publisherIn(t, dir, time.Hour, 1, 3).Run(); err != nil { // leaves retired generations
			t.Fatal(err)
		}
		killed := publisherIn(t, dir, 0, 4, 5)
		killed.Env = append(os.Environ(), fmt.Sprint("CRASH_AT=", step))
		err := killed.Run()
		if more = err != nil; more && !diedOf(err, syscall.SIGKILL) {
			t.Fatalf("step %d: %v", step, err)
		}
		if !more && step < 40 {
			t.Errorf("got %d steps, want more: the crash points are gone", step)
		}
		if n, err := readGeneration(dir); err != nil || n < 3 || n > 5 {
			t.Fatalf("killed at step %d: got generation %d, %v, want a whole one of 3 to 5", step, n, err)
		}
		if err := publisherIn(t, dir, 0, 6, 6).Run(); err != nil {
			t.Fatalf("the start after step %d: %v", step, err)
		}
		if n, err := readGeneration(dir); err != nil || n != 6 {
			t.Fatalf("the start after step %d: got generation %d, %v, want 6", step, n, err)
		}
		got := slices.DeleteFunc(names(t, dir), generationName.MatchString)
		want := []string{"..data", "always", "deep", "even", "given", "manifest"}
		if !slices.Equal(got, want) || len(names(t, dir)) != len(want)+1 {
			t.Fatalf("the start after step %d left %q, want %q and one generation", step, names(t, dir), want)
		}
		_ = os.RemoveAll(dir)
	}
}

// A publisher is killed at random moments, with readers at work all the time.
func TestKilledAtRandom(t *testing.T) {
	t.Parallel()
	kills := 20
	if text := os.Getenv("KMSRUN_TEST_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(memoryDir(t), "files")
	if err := publisherIn(t, dir, 0, 1, 1).Run(); err != nil {
		t.Fatal(err)
	}
	readers := startReaders(t, dir)
	defer readers.stop()
	last, published := 1, 0
	for i := range kills {
		cmd := publisherIn(t, dir, 5*time.Millisecond, last+1, last+1e6)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said, first := bufio.NewReader(stdout), ""
		if i%4 != 0 { // the others may be killed while they take over
			if first, err = said.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(rand.N(60 * time.Millisecond)) // the moment of the kill is what is random
		_ = cmd.Process.Kill()
		rest, err := io.ReadAll(said)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); !diedOf(err, syscall.SIGKILL) {
			t.Fatal(err)
		}
		n, err := readGeneration(dir)
		if err != nil || n < last {
			t.Fatalf("after a kill: got generation %d, %v, want %d or later", n, err, last)
		}
		if committed := lastNumber(first + string(rest)); n < committed {
			t.Fatalf("after a kill: got generation %d, want %d, which was committed", n, committed)
		}
		published += n - last
		last = n
	}
	if published == 0 || readers.reads.Load() == 0 {
		t.Errorf("got %d generations and %d reads, want some", published, readers.reads.Load())
	}
	t.Logf("%d kills, %d generations, %d reads", kills, published, readers.reads.Load())
}

// lastNumber is the last of the lines, 0 without one.
func lastNumber(lines string) int {
	numbers := strings.Fields(lines)
	if len(numbers) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(numbers[len(numbers)-1])
	return n
}

type readers struct {
	done  atomic.Bool
	reads atomic.Int64
	all   sync.WaitGroup
}

func startReaders(t *testing.T, dir string) *readers {
	r := new(readers)
	r.all.Go(func() {
		for !r.done.Load() {
			if _, err := readGeneration(dir); err != nil {
				t.Errorf("a reader got %v", err)
				return
			}
			r.reads.Add(1)
		}
	})
	r.all.Go(func() {
		for !r.done.Load() {
			if err := readByName(dir); err != nil {
				t.Errorf("a reader got %v", err)
				return
			}
		}
	})
	return r
}

func (r *readers) stop() {
	r.done.Store(true)
	r.all.Wait()
}

func diedOf(err error, signal syscall.Signal) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.Sys().(syscall.WaitStatus).Signal() == signal
}

var errTorn = errors.New("not one whole generation")

// readGeneration opens ..data once, and checks all that it reads through it. A
// generation that was swept meanwhile is no fault: there is a newer one, and that is
// read instead. Anything else that is wrong in a generation always is.
func readGeneration(dir string) (int, error) {
	for {
		root, err := os.OpenRoot(filepath.Join(dir, "..data"))
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && leadsSomewhere(dir) {
				continue // swept between the reading of the link and the opening
			}
			return 0, err
		}
		n, err := checkGeneration(root)
		read, statErr := root.Stat(".")
		_ = root.Close()
		if errors.Is(err, fs.ErrNotExist) {
			if now, nowErr := os.Stat(filepath.Join(dir, "..data")); statErr != nil || nowErr == nil && !os.SameFile(read, now) {
				continue
			}
		}
		return n, err
	}
}

func leadsSomewhere(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "..data"))
	return err == nil
}

func checkGeneration(root *os.Root) (int, error) {
	manifest, err := root.ReadFile("manifest")
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(manifest)), "\n")
	n, err := strconv.Atoi(strings.TrimSuffix(lines[0], " manifest"))
	if err != nil {
		return 0, fmt.Errorf("%w: manifest %q", errTorn, manifest)
	}
	for _, line := range lines[1:] {
		if err := checkFile(root, n, line); err != nil {
			return n, err
		}
	}
	count := 0
	err = fs.WalkDir(root.FS(), ".", func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			count++
		}
		return err
	})
	switch {
	case err != nil:
		return n, err
	case count > len(lines):
		return n, fmt.Errorf("%w: %d files in generation %d, want %d", errTorn, count, n, len(lines))
	case count < len(lines):
		return n, fs.ErrNotExist
	}
	return n, nil
}

func checkFile(root *os.Root, n int, line string) error {
	var name string
	var mode uint32
	var uid, gid, count int
	if _, err := fmt.Sscanf(line, "%s %o %d %d %d", &name, &mode, &uid, &gid, &count); err != nil {
		return fmt.Errorf("%w: manifest line %q", errTorn, line)
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	stat := info.Sys().(*syscall.Stat_t)
	if info.Mode() != fs.FileMode(mode) || int(stat.Uid) != uid || int(stat.Gid) != gid {
		return fmt.Errorf("%w: %s is %s of %d:%d, want %s", errTorn, name, info.Mode(), stat.Uid, stat.Gid, line)
	}
	content := make([]byte, info.Size())
	if _, err := f.ReadAt(content, 0); err != nil && info.Size() > 0 {
		return err
	}
	if want := strings.Repeat(fmt.Sprintf("%08d %s\n", n, name), count); string(content) != want {
		return fmt.Errorf("%w: %s has %d bytes, want %d of generation %d", errTorn, name, len(content), len(want), n)
	}
	return nil
}

// readByName reads a file as programs do: whatever flips, it is there and whole.
func readByName(dir string) error {
	var content []byte
	err := fs.ErrNotExist
	for try := 0; try < 100 && errors.Is(err, fs.ErrNotExist); try++ { // swept on the way to it
		content, err = os.ReadFile(filepath.Join(dir, "always"))
	}
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	if string(content) != strings.Repeat(line+"\n", 700) || !strings.HasSuffix(line, " always") {
		return fmt.Errorf("%w: always has %d bytes and begins with %q", errTorn, len(content), line)
	}
	return nil
}
