package inject

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
)

const patience = 20 * time.Second

// table is the process table of the test's process, which can have one only.
var table = sync.OnceValue(proc.New)

// vault is a KMS of the test: its values change when the test says so.
type vault struct {
	mu     sync.Mutex
	values map[string]secret.Value
	err    error
	count  int // of reads
}

func (v *vault) put(name, version, value string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.values == nil {
		v.values = map[string]secret.Value{}
	}
	v.values[name] = secret.NewValue([]byte(value), version, nil, time.Time{})
}

func (v *vault) get(_ context.Context, id secret.ID) (secret.Value, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count++
	if v.err != nil {
		return secret.Value{}, v.err
	}
	value, ok := v.values[id.Name]
	if !ok {
		return secret.Value{}, errors.New("no such secret: " + id.Name)
	}
	return value, nil
}

// run is an Exec at work on a real program.
type run struct {
	t       *testing.T
	dir     string // the program's working files
	files   string // the directory for files
	signals chan os.Signal
	log     *logText
	exec    *Exec
	status  Status
	err     error
	ended   chan struct{}
}

type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// begin runs a shell script under a declaration. $DIR is a directory of the test's.
func begin(t *testing.T, v *vault, declaration, script string) *run {
	t.Helper()
	r := prepare(t, v, declaration, script)
	r.start()
	return r
}

func (r *run) start() {
	go func() {
		r.status, r.err = r.exec.Run()
		close(r.ended)
	}()
}

func prepare(t *testing.T, v *vault, declaration, script string) *run {
	t.Helper()
	r := &run{t: t, dir: t.TempDir(), signals: make(chan os.Signal, 100), log: &logText{}, ended: make(chan struct{})}
	file := filepath.Join(r.dir, "kmsrun.yaml")
	if err := os.WriteFile(file, []byte(declaration), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Source{File: file, Environ: []string{"ALIBABA_CLOUD_REGION_ID=cn-test"}})
	if err != nil {
		t.Fatal(err)
	}
	r.files = memory(t)
	c.Files.Dir = r.files
	r.exec = NewExec(Plan{
		Config: c, Argv: []string{"/bin/sh", "-c", script}, Environ: []string{"PATH=" + os.Getenv("PATH"), "DIR=" + r.dir},
		Fetch:      v.get,
		FetchFirst: func(ctx, _ context.Context, id secret.ID) (secret.Value, error) { return v.get(ctx, id) },
		Processes:  table(), Signals: r.signals, Lookup: os.LookupEnv, Metrics: metrics.New("test"),
		Log: slog.New(slog.NewTextHandler(io.MultiWriter(r.log, t.Output()), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	return r
}

func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "kmsrun-inject")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// await polls a condition to a deadline.
func (r *run) await(what string, condition func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// says waits until the program has written a line to $DIR/said.
func (r *run) says(line string) {
	r.t.Helper()
	r.await("the program to say "+line, func() bool { return strings.Contains(r.said(), line+"\n") })
}

func (r *run) said() string {
	text, _ := os.ReadFile(filepath.Join(r.dir, "said")) // nothing yet
	return string(text)
}

func (r *run) logs(text string) {
	r.t.Helper()
	r.await("the log line "+text, func() bool { return strings.Contains(r.log.String(), text) })
}

func (r *run) wait() (Status, error) {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.t.Fatal("the run did not end")
	}
	return r.status, r.err
}

const (
	watched = "watch: {interval: 100ms, debounce: 10ms}\n"
	fast    = watched + "on_change: {min_interval: 0s}\n"
)

// loops is a program that says its environment, and then waits for signals.
const loops = `trap 'echo term >>$DIR/said; exit 3' TERM; trap 'echo hup >>$DIR/said' HUP; echo "start $A" >>$DIR/said; while :; do sleep 0.01; done`

func TestStatus(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"exit 0": 0, "exit 200": 200, "kill -TERM $$": 143, "kill -SEGV $$": 139} {
		r := begin(t, &vault{}, "", script)
		status, err := r.wait()
		if err != nil {
			t.Fatal(err)
		}
		if got := status.ExitCode(); got != want {
			t.Errorf("%s: got %d, want %d", script, got, want)
		}
	}
}

func TestRestartNeverShows(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}", loops)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	v.put("a", "v3", "three")
	r.says("start three")
	r.signals <- syscall.SIGTERM
	status, err := r.wait()
	if err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want the program's own 3", status, err)
	}
	if got, want := r.said(), "start one\nterm\nstart two\nterm\nstart three\nterm\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
}

// TestTermDuringRestart: a planned restart does not outlive a request to end.
func TestTermDuringRestart(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	slow := `trap 'echo term >>$DIR/said' TERM; trap 'exit 4' INT; echo "start $A" >>$DIR/said; while :; do sleep 0.01; done`
	r := begin(t, v, fast+"env: {A: kms://a}\nchild: {stop_timeout: 1h}", slow)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("term") // told to stop for a restart, and takes its time
	r.signals <- syscall.SIGINT
	status, err := r.wait()
	if err != nil || status.ExitCode() != 4 {
		t.Errorf("got %v %v, want the program's own 4", status, err)
	}
	if strings.Contains(r.said(), "two") {
		t.Errorf("the program was started again: %q", r.said())
	}
}

// TestChangeAfterTerm: somebody asked the program to end, and it is still at it.
func TestChangeAfterTerm(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	slow := `trap 'echo term >>$DIR/said' TERM; trap 'exit 5' USR1; trap 'echo hup >>$DIR/said' HUP; echo "start $A" >>$DIR/said; while :; do sleep 0.01; done`
	r := begin(t, v, fast+"env: {A: kms://a}", slow)
	r.says("start one")
	r.signals <- syscall.SIGTERM
	r.says("term")
	v.put("a", "v2", "two")
	r.logs("secret changed")
	if err := r.exec.State().Alive(t.Context()); err != nil { // the change is dealt with
		t.Fatal(err)
	}
	r.signals <- syscall.SIGHUP
	r.says("hup") // another TERM would have come before it
	r.signals <- syscall.SIGUSR1
	status, err := r.wait()
	if err != nil || status.ExitCode() != 5 {
		t.Errorf("got %v %v, want the program's own 5", status, err)
	}
	if got, want := r.said(), "start one\nterm\nhup\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
}

func TestKillAfterStopTimeout(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nchild: {stop_timeout: 50ms}\nhealth: {settle: 0s}",
		`trap '' TERM; echo "start $A" >>$DIR/said; [ $A = two ] && exit 6; while :; do sleep 0.01; done`)
	r.says("start one")
	v.put("a", "v2", "two")
	status, err := r.wait()
	if err != nil || status.ExitCode() != 6 {
		t.Errorf("got %v %v, want 6 from the second start", status, err)
	}
	r.logs("did not stop in time; killing it")
}

func TestSignalOnFileChange(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	v.put("f", "v1", "one")
	r := begin(t, v, watched+"env: {A: kms://a}\nfiles: {items: {f: kms://f}}\non_change: {files: SIGHUP}", loops)
	r.says("start one")
	v.put("f", "v2", "two")
	r.says("hup")
	if got, err := os.ReadFile(filepath.Join(r.exec.Config.Files.Dir, "f")); err != nil || string(got) != "two" {
		t.Errorf("the file when the program was told: got %q %v, want two", got, err)
	}
	r.signals <- syscall.SIGTERM
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}
	if _, err := os.Lstat(filepath.Join(r.exec.Config.Files.Dir, "f")); !os.IsNotExist(err) {
		t.Errorf("the file after the end: got %v, want it gone", err)
	}
}

// TestKeepsWhatCannotBeRendered: half a change is no change.
func TestKeepsWhatCannotBeRendered(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", `{"k":"one"}`)
	v.put("f", "v1", "one")
	r := begin(t, v, fast+"env: {A: \"kms://a#k\"}\nfiles: {items: {f: kms://f}}", loops)
	r.says("start one")
	v.put("f", "v2", "two")
	v.put("a", "v2", `{"other":"canary"}`)
	r.logs("the new secrets can't be rendered; keeping the present ones")
	r.await("the file that can be rendered", func() bool {
		got, _ := os.ReadFile(filepath.Join(r.exec.Config.Files.Dir, "f"))
		return string(got) == "two"
	})
	v.put("a", "v3", `{"k":"three"}`)
	r.says("start three")
	if strings.Contains(r.log.String(), "canary") {
		t.Error("a value is in the log")
	}
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Error(err)
	}
}

func TestSignalsBeforeTheStart(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := prepare(t, v, "env: {A: kms://a}", `trap 'exit 7' USR1; while :; do sleep 0.01; done`)
	release := make(chan struct{})
	fetch := r.exec.FetchFirst
	r.exec.FetchFirst = func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		<-release
		return fetch(ctx, patience, id)
	}
	go func() {
		r.status, r.err = r.exec.Run()
		close(r.ended)
	}()
	r.signals <- syscall.SIGWINCH // kept, and of no consequence
	r.await("the signal to be taken", func() bool { return len(r.signals) == 0 })
	close(release)
	r.await("the start", func() bool { return r.exec.State().Started() })
	// The shell may not have set its trap yet, and would die of the signal.
	r.signals <- syscall.SIGUSR1
	if status, err := r.wait(); err != nil || status.ExitCode() != 7 && status.Signal != syscall.SIGUSR1 {
		t.Errorf("got %v %v, want 7", status, err)
	}
	r.logs("signal=SIGWINCH")
}

func TestTermBeforeTheStart(t *testing.T) {
	t.Parallel()
	r := prepare(t, &vault{}, "env: {A: kms://a}", "touch $DIR/said")
	r.exec.FetchFirst = func(ctx, _ context.Context, _ secret.ID) (secret.Value, error) {
		<-ctx.Done()
		return secret.Value{}, ctx.Err()
	}
	r.signals <- syscall.SIGTERM
	status, err := r.exec.Run()
	if err != nil || status.ExitCode() != 143 {
		t.Errorf("got %v %v, want 143", status, err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "said")); err == nil {
		t.Error("the program was started")
	}
}

func TestRunReportsEverything(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", `{"k":"canary"}`)
	r := begin(t, v, "env: {A: \"kms://a#none\", B: kms://b, C: kms://c}", "touch $DIR/said")
	_, err := r.wait()
	var got []string
	for _, failure := range Wrapped(err) {
		got = append(got, failure.Error())
	}
	want := "env B: no such secret: b|env C: no such secret: c|env A: kms://a: no key \"none\"; it has \"k\""
	if strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "said")); err == nil {
		t.Error("the program was started")
	}
}

func TestAliveAndRefresh(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, "watch: {interval: 1h}\nenv: {A: kms://a}", loops)
	r.says("start one")
	state := r.exec.State()
	if err := state.Alive(t.Context()); err != nil {
		t.Errorf("Alive while running: %v", err)
	}
	v.put("a", "v2", "two")
	if !state.Refresh() {
		t.Error("Refresh: got false, want true")
	}
	r.says("start two")
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if state.Alive(gone) == nil {
		t.Error("Alive after the end: got nil, want an error")
	}

	none := begin(t, &vault{}, "", loops)
	none.says("start ")
	if none.exec.State().Refresh() {
		t.Error("Refresh with nothing to watch: got true, want false")
	}
	none.signals <- syscall.SIGTERM
	if _, err := none.wait(); err != nil {
		t.Error(err)
	}
}

// TestPublishesAgain: a directory in which nothing can be made keeps the present
// generation; when it can be written again, the change goes through.
func TestPublishesAgain(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	r := prepare(t, v, watched+"files: {items: {f: kms://f}}\non_change: {files: SIGHUP}", loops)
	dir := r.exec.Config.Files.Dir
	go func() {
		r.status, r.err = r.exec.Run()
		close(r.ended)
	}()
	r.says("start ")
	link := filepath.Join(dir, "f")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(link, []byte("somebody else's"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.put("f", "v2", "two")
	r.logs("can't be published; keeping the present ones and trying again")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	v.put("f", "v3", "three")
	r.says("hup")
	if got, err := os.ReadFile(link); err != nil || string(got) != "three" {
		t.Errorf("the file: got %q %v, want three", got, err)
	}
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Error(err)
	}
}

// TestTooLarge: a rotated value that no environment can hold does not end the program.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}", loops)
	r.says("start one")
	v.put("a", "v2", strings.Repeat("x", 128<<10))
	r.logs("longer than the system's limit of 131072 bytes; as=file puts it in a file")
	v.put("a", "v3", "three")
	r.says("start three")
	r.signals <- syscall.SIGTERM
	if status, err := r.wait(); err != nil || status.ExitCode() != 3 {
		t.Errorf("got %v %v, want 3", status, err)
	}

	var all strings.Builder
	for i := range 80 {
		fmt.Fprintf(&all, "  V%d: kms://b\n", i)
	}
	v.put("b", "v1", strings.Repeat("x", 100<<10))
	sum := begin(t, v, "env:\n"+all.String(), "touch $DIR/said")
	if _, err := sum.wait(); err == nil || !strings.Contains(err.Error(), "together would be longer than the system's limit") {
		t.Errorf("8 MB of environment: got %v", err)
	}
}

// TestEndsByItself: the program ended just before a change was known. Its status is
// ours, and it is not started again.
func TestEndsByItself(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := prepare(t, v, "env: {A: kms://a}", "echo start $A >>$DIR/said; exit 9")
	l := &loop{Exec: r.exec, program: program{argv: r.exec.Argv}}
	first := first{exec: r.exec}
	var err error
	if l.snapshot, l.generation, _, err = first.get(""); err != nil {
		t.Fatal(err)
	}
	if err := l.start("start"); err != nil {
		t.Fatal(err)
	}
	r.await("the end of the program", l.child.Ended)
	v.put("a", "v2", "two")
	next, _, _, err := first.get("")
	if err != nil {
		t.Fatal(err)
	}
	l.latest, l.waits = next, true
	l.consider() // as if the update came first
	status, err := l.run()
	if err != nil || status.Code != 9 {
		t.Errorf("got %v %v, want 9", status, err)
	}
	if got, want := r.said(), "start one\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
}

// TestStopSignalMeansLeaving: a program that drains after its own stop signal is not
// disturbed by a change.
func TestStopSignalMeansLeaving(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	r := begin(t, v, fast+"env: {A: kms://a}\nchild: {stop_signal: SIGUSR2}",
		`trap 'echo drain >>$DIR/said' USR2; trap 'exit 5' USR1; echo "start $A" >>$DIR/said; while :; do sleep 0.01; done`)
	r.says("start one")
	r.signals <- syscall.SIGUSR2
	r.says("drain")
	v.put("a", "v2", "two")
	r.logs("secret changed")
	r.signals <- syscall.SIGUSR1
	if status, err := r.wait(); err != nil || status.ExitCode() != 5 {
		t.Errorf("got %v %v, want 5", status, err)
	}
	if got, want := r.said(), "start one\ndrain\n"; got != want {
		t.Errorf("the program said %q, want %q", got, want)
	}
}
