//go:build linux

// Package systemd tries kmsrun in units of a real systemd: one that boots a minimal
// Debian in a container. test/e2e-systemd.sh makes the tree and calls it.
package systemd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a condition.
const patience = 30 * time.Second

// machine is the booted container.
type machine struct {
	leader string // pid of its systemd
	shared string // /shared in it
}

var booted *machine

func TestMain(m *testing.M) {
	tree := os.Getenv("KMSRUN_TEST_SYSTEMD")
	if tree == "" {
		fmt.Println("SKIPPED: units under a real systemd: make e2e-systemd runs them")
		return
	}
	status, err := boot(tree, m.Run)
	if err != nil {
		fmt.Println(err)
		status = 1
	}
	os.Exit(status)
}

// boot runs the tests with the tree booted: a throw-away layer over it, no network but
// loopback, and the binaries where packages would put them.
func boot(tree string, tests func() int) (int, error) {
	shared, err := os.MkdirTemp("/dev/shm", "kmsrun-systemd")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(shared)
	app := filepath.Join(shared, "app")
	build := exec.Command("go", "build", "-trimpath", "-o", app, "./testdata/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building the app: %w\n%s", err, output)
	}
	kmsrun, err := filepath.Abs("../../bin/kmsrun")
	if err != nil {
		return 0, err
	}
	if err := os.Chmod(shared, 0o755); err != nil {
		return 0, err
	}
	nspawn := exec.Command("systemd-nspawn", "-q", "-D", tree, "--register=no", "--keep-unit", "--private-network", "--boot",
		"--volatile=overlay", "--bind-ro="+kmsrun+":/usr/bin/kmsrun", "--bind-ro="+app+":/usr/bin/app", "--bind="+shared+":/shared")
	var console bytes.Buffer
	nspawn.Stdout, nspawn.Stderr = &console, &console
	nspawn.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := nspawn.Start(); err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	go func() {
		_ = nspawn.Wait() // the console tells
		close(ended)
	}()
	defer func() {
		_ = nspawn.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = nspawn.Process.Kill()
			<-ended
		}
	}()
	booted = &machine{shared: shared}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nspawn.Process.Pid, nspawn.Process.Pid))
		if fields := strings.Fields(string(children)); len(fields) > 0 {
			booted.leader = fields[len(fields)-1]
			if state, _ := booted.run("", "systemctl", "is-system-running", "--wait"); strings.TrimSpace(state) == "running" {
				return tests(), nil
			}
		}
		select {
		case <-ended:
			return 0, fmt.Errorf("the machine did not boot:\n%s", console.String())
		default:
		}
		if time.Now().After(deadline) {
			return 0, errors.New("the machine does not boot")
		}
	}
}

// run runs a command in the machine.
func (m *machine) run(stdin string, argv ...string) (string, error) {
	cmd := exec.Command("timeout", append([]string{"-k", "5", "60", "nsenter", "-a", "-t", m.leader}, argv...)...)
	cmd.Stdin = strings.NewReader(stdin)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// do runs a command that must succeed.
func (m *machine) do(t *testing.T, argv ...string) string {
	t.Helper()
	output, err := m.run("", argv...)
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, output)
	}
	return output
}

// write makes a file in the machine.
func (m *machine) write(t *testing.T, path, text string) {
	t.Helper()
	if output, err := m.run(text, "sh", "-c", `mkdir -p "$(dirname "$1")" && cat >"$1.new" && mv "$1.new" "$1"`, "sh", path); err != nil {
		t.Fatalf("writing %s: %v\n%s", path, err, output)
	}
}

// KMS is a KMS of a test, in the machine: a seed file, whose edits rotate.
type kms struct {
	*machine
	name string
	port int
}

var lastPort = 7000

// newKMS starts an emulator with the secret a.
func newKMS(t *testing.T, m *machine, name string) *kms {
	t.Helper()
	lastPort++
	k := &kms{m, "kms-" + name, lastPort}
	k.rotate(t, "0")
	k.unit(t, k.name+".service", fmt.Sprintf(`[Service]
ExecStart=/usr/bin/kmsrun emulator --listen 127.0.0.1:%d --seed /run/%s.yaml
`, k.port, k.name))
	k.start(t)
	return k
}

// start starts the emulator, and waits until it listens.
func (k *kms) start(t *testing.T) {
	t.Helper()
	k.do(t, "systemctl", "start", k.name)
	k.await(t, "the emulator", func() bool {
		_, err := k.run("", "bash", "-c", fmt.Sprintf("exec 3<>/dev/tcp/127.0.0.1/%d", k.port))
		return err == nil
	})
}

func (k *kms) rotate(t *testing.T, a string) {
	t.Helper()
	k.write(t, "/run/"+k.name+".yaml", fmt.Sprintf("secrets:\n  a: %q\n  file: %q\n", a, a))
}

// prefix is what stands before the app's command line.
func (k *kms) prefix(t *testing.T, more string) string {
	t.Helper()
	path := "/etc/" + k.name + ".yaml"
	k.write(t, path, fmt.Sprintf(`
kms: {region: cn-hangzhou, endpoint: "http://127.0.0.1:%d", start_timeout: 5m}
env: {A: kms://a}
watch: {interval: 100ms, debounce: 0s}
`, k.port)+more)
	return "/usr/bin/kmsrun exec -c " + path + " -- "
}

// key lets kmsrun log in at the emulator.
const key = "Environment=ALIBABA_CLOUD_ACCESS_KEY_ID=emulator ALIBABA_CLOUD_ACCESS_KEY_SECRET=emulator-secret ALIBABA_CLOUD_ECS_METADATA_DISABLED=true\n"

// unit installs a unit, and ends it with the test.
func (m *machine) unit(t *testing.T, name, text string) {
	t.Helper()
	m.write(t, "/run/systemd/system/"+name, text)
	m.do(t, "systemctl", "daemon-reload")
	t.Cleanup(func() {
		if t.Failed() {
			output, _ := m.run("", "sh", "-c", `systemctl status -l --no-pager "$1"; journalctl -o cat --no-pager -u "$1" | tail -n 40`, "sh", name)
			t.Logf("%s", output)
		}
		_, _ = m.run("", "systemctl", "kill", "-s", "KILL", name)
		_, _ = m.run("", "systemctl", "stop", name)
	})
}

// service installs a service, and starts it without waiting for it.
func (m *machine) service(t *testing.T, name, text string) {
	t.Helper()
	m.install(t, name, text)
	m.do(t, "systemctl", "start", "--no-block", name)
}

func (m *machine) install(t *testing.T, name, text string) {
	t.Helper()
	m.unit(t, name+".service", "[Service]\nTimeoutStartSec=60\n"+key+text)
}

func (m *machine) property(t *testing.T, unit, name string) string {
	t.Helper()
	return strings.TrimSpace(m.do(t, "systemctl", "show", "-P", name, unit))
}

func (m *machine) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// gets waits until properties have these values: NAME=VALUE.
func (m *machine) gets(t *testing.T, unit string, want ...string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		got = "\n" + m.do(t, "systemctl", "show", unit)
		there := 0
		for _, property := range want {
			if strings.Contains(got, "\n"+property+"\n") {
				there++
			}
		}
		if there == len(want) {
			return
		}
	}
	for _, property := range want {
		name, _, _ := strings.Cut(property, "=")
		t.Errorf("%s: got %s, want %s", unit, regexp.MustCompile("(?m)^"+name+"=.*$").FindString(got), property)
	}
	t.FailNow()
}

// says waits for a line of a unit in the journal.
func (m *machine) says(t *testing.T, unit, line string) {
	t.Helper()
	m.await(t, unit+" to say "+line, func() bool { return m.said(t, unit, line) > 0 })
}

// said is how often a unit has said a line that begins so.
func (m *machine) said(t *testing.T, unit, line string) int {
	t.Helper()
	return strings.Count("\n"+m.do(t, "journalctl", "-o", "cat", "--no-pager", "-u", unit), "\n"+line)
}

// starts waits for a start of the app with this value.
func (m *machine) starts(t *testing.T, unit, a string) { m.says(t, unit, "start A="+a+" ") }

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}
