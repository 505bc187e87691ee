package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPod runs containers that share a network, the ids of processes and a volume in
// memory, as those of a pod do: KMS, a sidecar, a real nginx, and its clients.
func TestPod(t *testing.T) {
	t.Parallel()
	need(t, exec.Command("docker", "info").Run() == nil, "Docker engine")
	path, err := exec.LookPath("nginx")
	need(t, err == nil, "nginx")
	p := newPod(t, path)
	t.Run("order", func(t *testing.T) { p.testOrder(t) })
	t.Run("rotation", func(t *testing.T) { p.testRotation(t) })
	t.Run("app restarted", func(t *testing.T) { p.testAppRestarted(t) })
	t.Run("sidecar restarted", func(t *testing.T) { p.testSidecarRestarted(t) })
	t.Run("of another user", func(t *testing.T) { p.testAnotherUser(t) })
	t.Run("end", func(t *testing.T) { p.testEnd(t) })
}

// pod is its containers, by id. They belong to the test of which those below are steps.
type pod struct {
	containers
	t              *testing.T
	path           string // of nginx
	volume         string
	sandbox        string // process 1, and the owner of the network
	sidecar, nginx string
	serial         int64 // of the newest certificate
}

const (
	podFiles = "/run/kmsrun/files"
	podNginx = "127.0.0.1:8443"
)

func newPod(t *testing.T, nginx string) *pod {
	t.Helper()
	p := &pod{containers: newContainers(t), t: t, path: nginx}
	build := exec.Command("go", "build", "-o", filepath.Join(p.tree, "load"), "./testdata/load")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building load: %v\n%s", err, output)
	}
	// nginx and the libraries that it is linked to, as an image.
	pack := exec.Command("sh", "-c", `ldd "$1" | grep -o '/[^ ]*' | tar -ch "$1" -T - 2>"$3" | docker import - "$2"`, "sh", nginx, p.image+"-nginx", filepath.Join(p.dir, "..", "tar"))
	if output, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("importing an image: %v\n%s", err, output)
	}
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", p.image+"-nginx").Run() })
	p.write("kmsrun.yaml", `
files: {items: {tls.crt: kms://web/tls#crt, tls.key: kms://web/tls#key}}
watch: {interval: 100ms, debounce: 10ms}
on_change: {files: {signal: HUP, process: nginx}}
`)
	p.write("nginx.conf", fmt.Sprintf(nginxConf, "/run/nginx", 8443, podFiles))
	p.rotate()
	p.volume = strings.TrimSpace(docker(t, "volume", "create", "--driver=local", "--opt=type=tmpfs", "--opt=device=tmpfs", "--opt=o=mode=1777"))
	t.Cleanup(func() { _ = exec.Command("docker", "volume", "rm", "-f", p.volume).Run() })
	p.sandbox = startContainer(t, p.flags("--entrypoint=/app/tenant"), p.image)
	return p
}

// write makes a file that containers find below /pod.
func (p *pod) write(name, text string) {
	p.t.Helper()
	dir := filepath.Join(filepath.Dir(p.seed), "pod")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		p.t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		p.t.Fatal(err)
	}
}

// rotate makes a new certificate the current one.
func (p *pod) rotate() {
	p.t.Helper()
	p.serial++
	type entry struct {
		Value   string `json:"value"`
		Version string `json:"version"`
	}
	seed, err := json.Marshal(map[string]any{"secrets": map[string]entry{"web/tls": {pair(p.t, p.serial), fmt.Sprintf("serial-%d", p.serial)}}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("seed.yaml", string(seed))
}

// start runs a container of the pod until the pod ends.
func (p *pod) start(image string, flags []string, args ...string) (id string) {
	p.t.Helper()
	joined := append([]string{
		"--read-only", "--user=65532", "--cap-drop=ALL", "--security-opt=no-new-privileges",
		"--network=container:" + p.sandbox, "--pid=container:" + p.sandbox,
		"-v", p.volume + ":/run/kmsrun", "-v", filepath.Join(filepath.Dir(p.seed), "pod") + ":/pod:ro", "-v", p.tree + ":/app:ro",
	}, flags...)
	return startContainer(p.t, joined, image, args...)
}

func (p *pod) startSidecar(args ...string) (id string) {
	p.t.Helper()
	return p.start(p.image, []string{
		"-e", "KMSRUN_ENDPOINT=http://127.0.0.1:8810", "-e", "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true",
		"-e", "ALIBABA_CLOUD_ACCESS_KEY_ID=emulator", "-e", "ALIBABA_CLOUD_ACCESS_KEY_SECRET=emulator-secret",
		"-e", "KMSRUN_CONFIG=/pod/kmsrun.yaml",
	}, append([]string{"sidecar"}, args...)...)
}

func (p *pod) startNginx() {
	p.t.Helper()
	p.nginx = p.start(p.image+"-nginx", []string{"--tmpfs=/run/nginx"}, p.path, "-e", "stderr", "-c", "/pod/nginx.conf", "-g", "daemon off;")
}

// load begins to ask nginx. The func it returns ends that, and wants nothing to have failed.
func (p *pod) load(t *testing.T) (id string, ends func()) {
	t.Helper()
	id = p.start(p.image, []string{"--entrypoint=/app/load"}, podNginx, podFiles)
	awaitLogs(t, id, "begins\n")
	return id, func() {
		t.Helper()
		docker(t, "stop", "-t", "60", id)
		logs := awaitLogs(t, id, "ends after")
		t.Log(logs[strings.Index(logs, "ends after"):])
		if strings.Contains(logs, "failure") {
			t.Errorf("failures under load:\n%s", logs)
		}
	}
}

// rotates wants nginx to serve a new certificate.
func (p *pod) rotates(t *testing.T, load string) {
	t.Helper()
	p.rotate()
	put := time.Now()
	awaitLogs(t, load, fmt.Sprintf("serial %d\n", p.serial))
	t.Logf("certificate %d seen %s after it was put", p.serial, time.Since(put).Round(time.Millisecond))
}

// testOrder is what a kubelet does: a native sidecar, its startup probe, and then the app.
// The sidecar's recipient is not there yet, and nobody waits for it; nor is KMS at first.
func (p *pod) testOrder(t *testing.T) {
	p.sidecar = p.startSidecar("--dir", podFiles, "--listen", "127.0.0.1:9153")
	probe := func() (string, int) {
		return dockerStatus(t, "exec", p.sidecar, "/kmsrun", "status", "--ready", "--addr", "127.0.0.1:9153")
	}
	awaitLogs(t, p.sidecar, "still waiting for KMS")
	if text, status := probe(); status != 1 || !strings.Contains(text, "not ready: not started") {
		t.Fatalf("the probe without KMS: got %d and %s, want 1", status, text)
	}
	p.start(p.image, nil, "emulator", "--listen", "127.0.0.1:8810", "--seed", "/pod/seed.yaml")
	deadline := time.Now().Add(patience)
	for text, status := probe(); status != 0; text, status = probe() {
		if time.Now().After(deadline) {
			t.Fatalf("the probe never passed: %d and %s; the sidecar:\n%s", status, text, docker(t, "logs", p.sidecar))
		}
	}
	// Were the files not there, nginx would end at once.
	p.startNginx()
	_, ends := p.load(t)
	ends()
	if logs := docker(t, "logs", p.sidecar); strings.Contains(logs, "told") {
		t.Errorf("the first files were told:\n%s", logs)
	}
	text := docker(t, "exec", p.sidecar, "/kmsrun", "status", "--addr", "127.0.0.1:9153")
	if !strings.Contains(text, "serial-1") || !strings.Contains(text, "started") {
		t.Errorf("status: got %s", text)
	}
}

func (p *pod) testRotation(t *testing.T) {
	load, ends := p.load(t)
	for range 4 {
		p.rotates(t, load)
	}
	ends()
}

// testAppRestarted: it has another id then, and is found again.
func (p *pod) testAppRestarted(t *testing.T) {
	docker(t, "stop", "-t", "60", p.nginx)
	p.startNginx() // another container, as a kubelet makes one
	load, ends := p.load(t)
	p.rotates(t, load)
	ends()
}

// testSidecarRestarted, asked to end or killed: its files never vanish under nginx, and what changed while it was
// away is told when it is back.
func (p *pod) testSidecarRestarted(t *testing.T) {
	load, ends := p.load(t)
	docker(t, "restart", "-t", "60", p.sidecar)
	p.rotates(t, load)
	for _, away := range [][]string{{"stop", "-t", "60"}, {"kill"}} {
		docker(t, append(away, p.sidecar)...)
		p.rotate()
		docker(t, "start", p.sidecar)
		awaitLogs(t, load, fmt.Sprintf("serial %d\n", p.serial))
	}
	ends()
	if logs := docker(t, "logs", p.sidecar); strings.Count(logs, "readers of the files that were there may not know these") < 2 {
		t.Errorf("the sidecar was to find older files twice, and said:\n%s", logs)
	}
}

// testAnotherUser: a signal to another user's process is refused by the system, and the line says what to do.
func (p *pod) testAnotherUser(t *testing.T) {
	p.start(p.image, []string{"--user=101", "--entrypoint=/app/tenant"})
	id := p.startSidecar("--dir", "/run/kmsrun/other", "--on-file-change", "{signal: USR1, process: tenant}")
	awaitLogs(t, id, "files published")
	p.rotate()
	awaitLogs(t, id, "belongs to another user: run both as the same one (runAsUser), or give kmsrun CAP_KILL")
	docker(t, "stop", "-t", "60", id)
}

// testEnd: asked to, it ends at once and well.
func (p *pod) testEnd(t *testing.T) {
	docker(t, "stop", "-t", "60", p.sidecar)
	if got := strings.TrimSpace(docker(t, "inspect", "-f", "{{.State.ExitCode}}", p.sidecar)); got != "0" {
		t.Errorf("status of the sidecar: got %s, want 0", got)
	}
}
