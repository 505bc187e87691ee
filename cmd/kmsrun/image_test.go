package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestImage runs the image as its users do: locked down, with a reference to
// resolve and a seed file instead of an account.
func TestImage(t *testing.T) {
	t.Parallel()
	need(t, exec.Command("docker", "info").Run() == nil, "Docker engine")
	const tag = "kmsrun:test"
	docker := func(args ...string) string {
		t.Helper()
		output, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, output)
		}
		return string(output)
	}
	// What make image does, with the binary at hand.
	dir := t.TempDir()
	for name, from := range map[string]string{"Dockerfile": absolute(t, "../../Dockerfile"), "bin/kmsrun": binary(t)} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	docker("build", "-q", "-t", tag, dir)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "-f", tag).Run() })
	seed := filepath.Join(dir, "seed.yaml")
	if err := os.WriteFile(seed, []byte("secrets: {a: kmsrun version}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The image has no program but kmsrun: it runs itself, found in its PATH.
	got := docker("run", "--rm", "--network=none", "--read-only", "--tmpfs=/run/kmsrun:uid=65532,mode=0700", "--cap-drop=ALL",
		"--security-opt=no-new-privileges", "-v", seed+":/seed.yaml:ro", "-e", "X=kms://a", tag,
		"exec", "--dev", "/seed.yaml", "-f", "x=kms://a", "--", "/kmsrun", "version")
	if !strings.Contains(got, "kmsrun ") || !strings.Contains(got, "program started") {
		t.Errorf("got output %q, want the version", got)
	}
	if user := strings.TrimSpace(docker("inspect", "-f", "{{.Config.User}}", tag)); user != "65532:65532" {
		t.Errorf("user: got %q, want 65532:65532", user)
	}
}
