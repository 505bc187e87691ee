package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestProfileFormat: an access key that is written as a profile of the aliyun CLI logs in
// whoever reads it there.
func TestProfileFormat(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "ci", "v1", `{"AccessKeyId": "emulator", "AccessKeySecret": "`+canary("access-key-secret")+`", "GenerateTimestamp": "2026-01-02T03:04:05Z"}`)
	s.put(t, "db", "v1", "reached")
	home, declared := shm(t), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(declared, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("render.yaml", "files: {dir: "+home+"/.aliyun, items: {config.json: {from: kms://ci, format: profile}}}\n")
	if r := start(t, s.environ(), "render", "-c", file); r.wait() != 0 {
		t.Fatalf("render: %s", r.err.String())
	}
	file = write("exec.yaml", "auth: {default: {type: profile}}\nenv: {DB: kms://db}\n")
	environ := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "KMSRUN_ENDPOINT=http://" + s.address, "ALIBABA_CLOUD_ECS_METADATA_DISABLED=true"}
	r := start(t, environ, "exec", "-c", file, "--", "sh", "-c", "echo $DB")
	if got := r.wait(); got != 0 || r.out.String() != "reached\n" {
		t.Errorf("got %d %q; stderr:\n%s", got, r.out.String(), r.err.String())
	}
}
