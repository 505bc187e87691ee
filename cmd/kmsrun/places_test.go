//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// place is where kmsrun is started: as PID 1, under a shell, under nohup.
type place struct {
	name    string
	isInit  bool
	ignored []syscall.Signal // there
	// command starts kmsrun with arguments; needs says what the machine lacks for it.
	command func(t *testing.T, path string, args ...string) *exec.Cmd
	needs   func() (ok bool, what string)
	// signal sends one to kmsrun.
	signal func(t *testing.T, r *running, s syscall.Signal)
}

func places() []place {
	wrapped := func(wrapper ...string) func(*testing.T, string, ...string) *exec.Cmd {
		return func(_ *testing.T, path string, args ...string) *exec.Cmd {
			argv := append(append(wrapper, path), args...)
			return exec.Command(argv[0], argv[1:]...)
		}
	}
	return []place{
		{name: "shell", command: wrapped("/bin/sh", "-c", `"$@"; exit $?`, "sh"), signal: signalHere},
		{name: "nohup", command: wrapped("nohup"), signal: signalHere, ignored: []syscall.Signal{syscall.SIGHUP}},
		{
			name: "PID 1", command: wrapped("unshare", "--pid", "--fork", "--mount-proc"), signal: signalHere, isInit: true,
			needs: func() (bool, string) {
				return exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").Run() == nil, "PID namespace to be had"
			},
		},
		{
			name: "container", isInit: true, command: inContainer, signal: signalContainer,
			needs: func() (bool, string) { return exec.Command("docker", "info").Run() == nil, "Docker engine" },
		},
	}
}

// everywhere runs a test in every place.
func everywhere(t *testing.T, test func(t *testing.T, p place)) {
	t.Parallel()
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			if p.needs != nil {
				ok, what := p.needs()
				need(t, ok, what)
			}
			test(t, p)
		})
	}
}

// start starts kmsrun exec in the place, on a shell's script.
func (p place) start(t *testing.T, script string, flags ...string) *running {
	t.Helper()
	args := append([]string{"exec"}, flags...)
	r := &running{t: t, ended: make(chan struct{})}
	r.Cmd = p.command(t, binary(t), append(args, "--", "/bin/sh", "-c", script)...)
	r.Env = []string{"PATH=/bin:/usr/bin:/usr/sbin:" + os.Getenv("PATH"), "HOME=/", "ALIBABA_CLOUD_ACCESS_KEY_ID=x", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=x"}
	r.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	r.Stdout, r.Stderr = &r.out, &r.err
	r.begin()
	return r
}

// signalHere signals the first kmsrun below the process that the test started.
func signalHere(t *testing.T, r *running, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(findKmsrun(t, r), s); err != nil {
		t.Fatal(err)
	}
}

func findKmsrun(t *testing.T, r *running) int {
	t.Helper()
	for pid := r.Process.Pid; ; {
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); string(name) == "kmsrun\n" {
			return pid
		}
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		fields := strings.Fields(string(children))
		if err != nil || len(fields) == 0 {
			t.Fatalf("no kmsrun below %d: %v", r.Process.Pid, err)
		}
		if pid, err = strconv.Atoi(fields[0]); err != nil {
			t.Fatal(err)
		}
	}
}

// shellTag is the name of the image of this run of the tests; TestMain removes it.
func shellTag() string { return "kmsrun-shell:test-" + strconv.Itoa(os.Getpid()) }

// shellImage is an image of the shell and the few tools that the scripts want.
var shellImage = sync.OnceValues(func() (string, error) {
	tag := shellTag()
	var tree bytes.Buffer
	w := tar.NewWriter(&tree)
	added := map[string]bool{}
	add := func(path, as string) error {
		content, err := os.ReadFile(path)
		if err != nil || added[as] {
			return err
		}
		added[as] = true
		if err := w.WriteHeader(&tar.Header{Name: as, Mode: 0o755, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	library := regexp.MustCompile(`(/\S+) \(0x`)
	for _, tool := range []string{"sh", "sleep", "cat", "grep", "setsid"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			return "", err
		}
		libraries, err := exec.Command("ldd", path).Output()
		if err != nil {
			return "", err
		}
		for _, l := range library.FindAllStringSubmatch(string(libraries), -1) {
			if err := add(l[1], l[1][1:]); err != nil {
				return "", err
			}
		}
		if err := add(path, "bin/"+tool); err != nil {
			return "", err
		}
	}
	path, err := built()
	if err == nil {
		err = add(path, "kmsrun")
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", err
	}
	cmd := exec.Command("docker", "import", "-", tag)
	cmd.Stdin = &tree
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("docker import: %w\n%s", err, output)
	}
	return tag, nil
})

func inContainer(t *testing.T, _ string, args ...string) *exec.Cmd {
	t.Helper()
	image, err := shellImage()
	if err != nil {
		t.Fatal(err)
	}
	name := containerName(t)
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", name).Run() })
	docker := []string{
		"run", "--rm", "--network=none", "--name", name, "--sig-proxy=false",
		"-e", "ALIBABA_CLOUD_ACCESS_KEY_ID", "-e", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", image, "/kmsrun",
	}
	return exec.Command("docker", append(docker, args...)...)
}

func containerName(t *testing.T) string {
	return "kmsrun-test-" + strconv.Itoa(os.Getpid()) + "-" + regexp.MustCompile(`\W+`).ReplaceAllString(filepath.Base(filepath.Dir(t.Name())), "")
}

func signalContainer(t *testing.T, _ *running, s syscall.Signal) {
	t.Helper()
	if output, err := exec.Command("docker", "kill", "-s", strconv.Itoa(int(s)), containerName(t)).CombinedOutput(); err != nil {
		t.Fatalf("docker kill -s %d: %v\n%s", s, err, output)
	}
}

// TestUnseenInContainer: with a container's seccomp filter and capabilities, too.
func TestUnseenInContainer(t *testing.T) {
	t.Parallel()
	need(t, exec.Command("docker", "info").Run() == nil, "Docker engine")
	image, err := shellImage()
	if err != nil {
		t.Fatal(err)
	}
	look := func(before ...string) string {
		t.Helper()
		args := slices.Concat([]string{"run", "--rm", "--network=none", "--security-opt=no-new-privileges", "--cap-drop=NET_RAW", "--ulimit=nofile=700:900", image},
			before, []string{"/bin/cat", "/proc/self/status", "/proc/self/limits", "/proc/self/oom_score_adj"})
		output, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, output)
		}
		return normal(string(output), "")
	}
	if bare, through := look(), look("/kmsrun", "exec", "--log-level", "error", "--"); through != bare || !strings.Contains(bare, "Seccomp:") {
		t.Errorf("got\n%s\nwant\n%s", through, bare)
	}
}
