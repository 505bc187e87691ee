// Package compose runs the example as its reader would.
package compose

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait for a line of the app's.
const patience = 60 * time.Second

// TestCompose brings app, kmsrun and emulator up from a copy of the example, rotates both
// secrets by saving the seed, and takes all down.
func TestCompose(t *testing.T) {
	t.Parallel()
	dir := prepare(t)
	image := "kmsrun-compose-test:" + strconv.Itoa(os.Getpid())
	run(t, nil, "docker", "build", "-q", "-f", "../../Dockerfile", "-t", image, filepath.Join(dir, "image"))
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", image).Run() })
	project := "kmsrun-test-" + strconv.Itoa(os.Getpid())
	environ := append(os.Environ(), "KMSRUN_IMAGE="+image)
	compose := func(args ...string) string {
		t.Helper()
		all := append(composer(t), "-f", filepath.Join(dir, "compose.yaml"), "-p", project)
		return run(t, environ, append(all, args...)...)
	}
	t.Cleanup(func() { compose("down", "--rmi", "local", "--volumes", "--timeout", "1") })
	compose("up", "--build", "--detach")
	id := strings.TrimSpace(compose("ps", "--quiet", "app"))

	await := func(line string) {
		t.Helper()
		logs := ""
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
			if logs = run(t, nil, "docker", "logs", id); strings.Contains(logs, line) {
				return
			}
		}
		t.Fatalf("nobody said %q, but:\n%s", line, logs)
	}
	await("started: demo/db v1 (variable), demo/tls v1 (file)")
	seed := filepath.Join(dir, "kms/seed.yaml")
	replace(t, seed, "private-v1, id: v1}, version: v1", "private-v2, id: v2}, version: v2")
	await("told to read its files again: demo/db v1 (variable), demo/tls v2 (file)")
	replace(t, seed, "hunter2-v1, id: v1}, version: v1", "hunter2-v2, id: v2}, version: v2")
	await("started: demo/db v2 (variable), demo/tls v2 (file)")

	compose("stop", "--timeout", "60", "app")
	if got := strings.TrimSpace(run(t, nil, "docker", "inspect", "-f", "{{.State.ExitCode}}", id)); got != "0" {
		t.Errorf("status of the app after stop: got %s, want 0", got)
	}
	logs := compose("logs", "--no-color")
	for _, secret := range []string{"hunter2", "private-v", "emulator-secret"} {
		if strings.Contains(logs, secret) {
			t.Errorf("the logs hold %s", secret)
		}
	}
}

// prepare copies the example, and builds what make compose builds. It skips where there is
// no engine or no compose.
func prepare(t *testing.T) (dir string) {
	t.Helper()
	need(t, exec.Command("docker", "info").Run() == nil, "Docker engine")
	need(t, composer(t) != nil, "docker-compose")
	// Not t.TempDir: what containers mount, another user reads.
	dir, err := os.MkdirTemp("", "kmsrun-compose")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	environ := append(os.Environ(), "CGO_ENABLED=0")
	run(t, environ, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "image/kmsrun"), "../../cmd/kmsrun")
	run(t, environ, "go", "build", "-o", filepath.Join(dir, "app"), "../demo/app")
	return dir
}

// composer is the command, by whichever name it goes here; nil for none.
func composer(t *testing.T) []string {
	t.Helper()
	if path, err := exec.LookPath("docker-compose"); err == nil {
		return []string{path}
	}
	if exec.Command("docker", "compose", "version").Run() == nil {
		return []string{"docker", "compose"}
	}
	return nil
}

// need skips a test for want of a tool; on CI, where nothing may be skipped, it fails.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if !ok && os.Getenv("CI") != "" {
		t.Fatalf("no %s, and CI skips nothing", what)
	}
	if !ok {
		t.Skipf("SKIPPED: no %s", what)
	}
}

// replace edits a file as an editor does, by a rename.
func replace(t *testing.T, file, before, after string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(text), before, after, 1)
	if edited == string(text) {
		t.Fatalf("%s does not hold %q", file, before)
	}
	if err := os.WriteFile(file+".new", []byte(edited), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, environ []string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = environ
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, output)
	}
	return string(output)
}
