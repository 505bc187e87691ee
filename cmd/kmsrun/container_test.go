package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestContainer runs the image as its users do. Its containers are locked down, and have no
// network: their secrets come from a seed file.
func TestContainer(t *testing.T) {
	t.Parallel()
	need(t, exec.Command("docker", "info").Run() == nil, "Docker engine")
	c := newContainers(t)
	for name, test := range map[string]func(*testing.T, containers){
		"locked down":        testLockedDown,
		"volume of a pod":    testVolume,
		"docker stop":        testDockerStop,
		"two in a pod":       testTwoInAPod,
		"install":            testInstall,
		"install, but where": testInstallRefused,
		"another platform":   testPlatform,
		// What kmsrun is as process 1 belongs here too.
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

// lockdown is what a careful cluster demands of every container.
var lockdown = []string{
	"--network=none", "--read-only", "--user=65532", "--cap-drop=ALL", "--security-opt=no-new-privileges",
}

// containers makes containers of the image as make image builds it.
type containers struct {
	image string
	dir   string // the context of the image
	seed  string // one secret, "a"
	tree  string // a directory that holds a program, tenant, and nothing else
}

func newContainers(t *testing.T) containers {
	t.Helper()
	// Not t.TempDir: what containers mount, another user reads.
	dir, err := os.MkdirTemp("", "kmsrun-image")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := containers{
		image: "kmsrun-test:" + strconv.Itoa(os.Getpid()) + "-" + t.Name(), // each test removes its own
		dir:   filepath.Join(dir, "image"), seed: filepath.Join(dir, "seed.yaml"), tree: filepath.Join(dir, "tree"),
	}
	for _, path := range []string{dir, c.dir, c.tree} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(c.seed, []byte("secrets: {a: s3cr3t}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(binary(t), filepath.Join(c.dir, "kmsrun")); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(c.tree, "tenant"), "./testdata/tenant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building tenant: %v\n%s", err, output)
	}
	c.build(t, c.image)
	return c
}

// build does what make image does, with the binary at hand.
func (c containers) build(t *testing.T, tag string, flags ...string) {
	t.Helper()
	docker(t, append(append([]string{"build", "-q", "-f", absolute(t, "../../Dockerfile"), "-t", tag}, flags...), c.dir)...)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", tag).Run() })
}

// flags are those of docker run for a kmsrun with a seed and a program to wrap.
func (c containers) flags(more ...string) []string {
	return append(append([]string{
		"-v", c.seed + ":/seed.yaml:ro", "-v", c.tree + ":/app:ro",
		"-e", "KMSRUN_DEV=/seed.yaml", "-e", "VARIABLE=kms://a",
	}, lockdown...), more...)
}

// wrap are the arguments that run the tenant with a file.
var wrap = []string{"exec", "-e", "FILE=${files_dir}/file", "-f", "file=kms://a", "--", "/app/tenant"}

// startContainer runs a container in the background until the test ends.
func startContainer(t *testing.T, flags []string, image string, args ...string) (id string) {
	t.Helper()
	id = strings.TrimSpace(docker(t, append(append(append([]string{"run", "-d"}, flags...), image), args...)...))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", id).Run() })
	return id
}

// docker fails the test unless the command does what it should.
func docker(t *testing.T, args ...string) string {
	t.Helper()
	output, status := dockerStatus(t, args...)
	if status != 0 {
		t.Fatalf("docker %s: status %d\n%s", strings.Join(args, " "), status, output)
	}
	return output
}

func dockerStatus(t *testing.T, args ...string) (output string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "docker", args...)
	text, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// awaitLogs waits until a container has printed the text, and returns all that it printed.
func awaitLogs(t *testing.T, id, text string) string {
	t.Helper()
	logs := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if logs = docker(t, "logs", id); strings.Contains(logs, text) {
			return logs
		}
	}
	t.Fatalf("the container never said %q, but:\n%s", text, logs)
	return ""
}

func testLockedDown(t *testing.T, c containers) {
	args := append([]string{"run", "--rm"}, c.flags("--tmpfs=/run")...)
	got := docker(t, append(append(append(args, c.image), wrap...), "once")...)
	if want := "uid 65532 in /run/kmsrun: variable s3cr3t, file s3cr3t, error <nil>\n"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
	if user := strings.TrimSpace(docker(t, "inspect", "-f", "{{.Config.User}}", c.image)); user != "65532:65532" {
		t.Errorf("user of the image: got %q, want 65532:65532", user)
	}
	var size int
	if _, err := fmt.Sscan(docker(t, "inspect", "-f", "{{.Size}}", c.image), &size); err != nil || size > most {
		t.Errorf("size of the image: got %d bytes (%v), want at most %d", size, err, most)
	}
}

// testVolume: an emptyDir in memory is root's, and everybody's to write; so is a bare tmpfs.
func testVolume(t *testing.T, c containers) {
	flags := c.flags("--tmpfs=/run/kmsrun", "-e", "KMSRUN_DIR=/run/kmsrun/files", c.image)
	got := docker(t, append(append(append([]string{"run", "--rm"}, flags...), wrap...), "once")...)
	if want := "in /run/kmsrun/files: variable s3cr3t, file s3cr3t, error <nil>\n"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

// testDockerStop wants the end at once, not after the engine's patience: what is killed has status 137.
func testDockerStop(t *testing.T, c containers) {
	id := startContainer(t, c.flags("--tmpfs=/run"), c.image, wrap...)
	awaitLogs(t, id, "file s3cr3t")
	asked := time.Now()
	docker(t, "stop", "-t", "60", id)
	t.Logf("docker stop took %s", time.Since(asked).Round(time.Millisecond))
	if got := strings.TrimSpace(docker(t, "inspect", "-f", "{{.State.ExitCode}}", id)); got != "7" {
		t.Errorf("status of the container: got %s, want the program's own, 7", got)
	}
}

// testTwoInAPod: the containers of a pod share /dev/shm, and each has a process 1.
func testTwoInAPod(t *testing.T, c containers) {
	first := startContainer(t, c.flags("--ipc=shareable"), c.image, wrap...)
	one := awaitLogs(t, first, "file s3cr3t")
	second := startContainer(t, c.flags("--ipc=container:"+first), c.image, wrap...)
	other := awaitLogs(t, second, "file s3cr3t")
	dir := func(logs string) string {
		_, after, _ := strings.Cut(logs, " in ")
		dir, _, _ := strings.Cut(after, ":")
		return dir
	}
	if dir(one) == dir(other) || !strings.HasPrefix(dir(one), "/dev/shm/kmsrun.") {
		t.Errorf("directories of the two: got %q and %q, want two below /dev/shm", dir(one), dir(other))
	}
	// The second ends, and takes nothing of the first's with it.
	docker(t, "stop", "-t", "60", second)
	third := append([]string{"run", "--rm"}, c.flags("--ipc=container:"+first)...)
	look := append(append(third, "-e", "FILE="+dir(one)+"/file", "--entrypoint=/app/tenant", c.image), "once")
	if got := docker(t, look...); !strings.Contains(got, "file s3cr3t") {
		t.Errorf("the first one's file after the second ended: got %q", got)
	}
	// One directory for two is refused, since only one can keep it.
	same := append(append(third, "-e", "KMSRUN_DIR="+dir(one), c.image), wrap...)
	if got, status := dockerStatus(t, same...); status != 125 || !strings.Contains(got, "another kmsrun uses it") {
		t.Errorf("one directory for two: got status %d and %q, want 125 and why", status, got)
	}
}

// testInstall is an init container that leaves kmsrun on a volume, and then a container of
// an image that knows nothing of kmsrun.
func testInstall(t *testing.T, c containers) {
	bare := c.image + "-bare"
	pack := exec.Command("sh", "-c", "tar -C \"$1\" -c tenant | docker import - \"$2\"", "sh", c.tree, bare)
	if output, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("importing an image: %v\n%s", err, output)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", bare).Run() })
	volume := strings.TrimSpace(docker(t, "volume", "create"))
	t.Cleanup(func() { _ = exec.Command("docker", "volume", "rm", "-f", volume).Run() })
	// An emptyDir is for everybody to write; the engine's volumes are root's.
	first := append([]string{"run", "--rm", "-v", volume + ":/install"}, lockdown...)
	docker(t, append(first, "--user=0", c.image, "install", "/install")...)
	args := append([]string{"run", "--rm", "-v", volume + ":/kmsrun:ro"}, c.flags("--tmpfs=/run", "--entrypoint=/kmsrun/kmsrun", bare)...)
	got := docker(t, append(append(args, wrap...), "once")...)
	if want := "variable s3cr3t, file s3cr3t"; !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

func testInstallRefused(t *testing.T, c containers) {
	for _, test := range []struct{ mount, dir, want string }{
		{"/install:exec,size=1m", "/install", "no space left on device: the binary takes 20 MB; raise the volume's sizeLimit"},
		{"/install", "/install", "it is mounted noexec"},
		{"/install:exec,mode=0755", "/install", "permission denied: make it writable for user 65532"},
		{"/install", "/app", "read-only file system: mount a volume there, without readOnly"},
	} {
		args := append([]string{"run", "--rm"}, c.flags("--tmpfs="+test.mount, c.image, "install", test.dir)...)
		got, status := dockerStatus(t, args...)
		want := fmt.Sprintf("kmsrun: installing kmsrun in %q: %s", test.dir, test.want)
		if status != 125 || !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 {
			t.Errorf("install to %s: got status %d and %q, want 125 and %q", test.mount, status, got, want)
		}
	}
}

// testPlatform: the classic builder takes a platform only from the first step.
func testPlatform(t *testing.T, c containers) {
	c.dir = t.TempDir() // what the binary holds is of no interest
	if err := os.WriteFile(filepath.Join(c.dir, "kmsrun"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	tag := c.image + "-other"
	c.build(t, tag, "--platform=linux/arm64", "--label=a=b")
	if got := strings.TrimSpace(docker(t, "inspect", "-f", "{{.Os}}/{{.Architecture}}", tag)); got != "linux/arm64" {
		t.Errorf("platform: got %s, want linux/arm64", got)
	}
}
