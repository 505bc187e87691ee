package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kmsrun/kmsrun/emulator"
)

// patience bounds every wait for a condition.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	beginAs()
	testscript.Main(cleaned{m}, map[string]func(){"kmsrun": main})
}

// cleaned runs the tests, and removes what they share.
type cleaned struct{ *testing.M }

func (c cleaned) Run() int {
	status := c.M.Run()
	_ = os.RemoveAll(buildDir())
	_ = exec.Command("docker", "rmi", "-f", shellTag()).Run() // if there is a Docker engine, and the image
	return status
}

// TestScripts runs testdata/*.txtar: what a user types, and what it prints.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")
			e.Setenv("SHM", shm(e.T().(testing.TB)))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"emulator": startEmulator,
			"waitfor":  waitFor,
			"signal":   sendSignal,
			"call":     callEmulator,
		},
	})
}

// shm makes a directory in memory that the test owns.
func shm(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "kmsrun-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// startEmulator is "emulator SEED": it serves the seed file to the script's kmsrun,
// with region, endpoint and access key in the environment.
func startEmulator(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: emulator SEED")
	}
	server := emulator.New(emulator.Config{})
	_, err := server.LoadSeed(ts.MkAbs(args[0]))
	ts.Check(err)
	listener := httptest.NewServer(server)
	ts.Defer(listener.Close)
	ts.Setenv("KMSRUN_ENDPOINT", listener.URL)
	ts.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "emulator")
	ts.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "emulator-secret")
}

// waitFor is "waitfor FILE TEXT": it waits until the file holds the text.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE TEXT")
	}
	content := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		text, _ := os.ReadFile(ts.MkAbs(args[0])) // not there yet
		if content = string(text); strings.Contains(content, args[1]) {
			return
		}
	}
	ts.Fatalf("%s does not hold %q, but:\n%s", args[0], args[1], content)
}

// sendSignal is "signal PIDFILE NUMBER".
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signal PIDFILE NUMBER")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	number, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.Signal(number)))
}

// callEmulator is "call METHOD PATH [BODY]": it prints status and body of a plain request
// to the emulator whose first line is in the file address.
func callEmulator(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: call METHOD PATH [BODY]")
	}
	line := strings.TrimSpace(ts.ReadFile("address"))
	body := strings.NewReader(strings.Join(args[2:], ""))
	r, err := http.NewRequest(args[0], line[strings.LastIndex(line, " ")+1:]+args[1], body)
	ts.Check(err)
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, _ = fmt.Fprintf(ts.Stdout(), "%d\n%s\n", resp.StatusCode, text)
}

// absolute is a path below the test's own directory.
func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
