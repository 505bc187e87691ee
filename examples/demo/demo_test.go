package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestDemo runs the story that make demo tells.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	kmsrun, app := filepath.Join(dir, "kmsrun"), filepath.Join(dir, "app")
	for path, pkg := range map[string]string{kmsrun: "../../cmd/kmsrun", app: "./app"} {
		if output, err := exec.Command("go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", pkg, err, output)
		}
	}
	if err := tell(kmsrun, app, "kmsrun.yaml"); err != nil {
		t.Error(err)
	}
}
