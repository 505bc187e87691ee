package kubernetes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kmsrun/kmsrun/config"
)

// kmsrun is a built binary.
type kmsrun struct{ binary string }

func newKmsrun(t *testing.T) kmsrun {
	t.Helper()
	k := kmsrun{filepath.Join(t.TempDir(), "kmsrun")}
	cmd := exec.Command("go", "build", "-o", k.binary, "./cmd/kmsrun")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building kmsrun: %v\n%s", err, output)
	}
	return k
}

// check reads a pod as kmsrun would: the arguments of its containers, and the
// declarations that they are given.
func (k kmsrun) check(t *testing.T, example string, p pod, objects []object) {
	t.Helper()
	runs := 0
	for _, c := range p.containers() {
		args, wraps := kmsrunArgs(t, c)
		if args == nil {
			continue
		}
		runs++
		k.checkArgs(t, example, args)
		if args[0] == "install" {
			continue
		}
		k.checkDeclaration(t, example, p, c, args, objects)
		if wraps && !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/kmsrun" }) {
			t.Errorf("%s: container %s: nothing is mounted at /kmsrun", example, c.Name)
		}
	}
	if runs == 0 {
		t.Errorf("%s: no container runs kmsrun", example)
	}
}

// kmsrunArgs are the arguments of kmsrun, nil where the container runs something else; wraps
// tells that it is in another image.
func kmsrunArgs(t *testing.T, c corev1.Container) (args []string, wraps bool) {
	t.Helper()
	switch {
	case strings.HasPrefix(c.Image, "kmsrun:"):
		for _, m := range c.VolumeMounts {
			if m.MountPath == "/kmsrun" {
				t.Errorf("container %s: a volume hides /kmsrun, the binary", c.Name)
			}
		}
		return c.Args, false
	case len(c.Command) > 0 && c.Command[0] == "/kmsrun/kmsrun":
		return slices.Concat(c.Command[1:], c.Args), true
	}
	return nil, false
}

// checkArgs wants command and flags to be in the help.
func (k kmsrun) checkArgs(t *testing.T, example string, args []string) {
	t.Helper()
	list, err := exec.Command(k.binary, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(list), "\n  "+args[0]+" ") {
		t.Errorf("%s: no command %q", example, args[0])
		return
	}
	help, err := exec.Command(k.binary, args[0], "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, arg := range args[1:] {
		if arg == "--" {
			return
		}
		if strings.HasPrefix(arg, "-") && !slices.Contains(strings.FieldsFunc(string(help), func(r rune) bool { return strings.ContainsRune(" ,\n", r) }), arg) {
			t.Errorf("%s: %s: no flag %s", example, args[0], arg)
		}
	}
}

// checkDeclaration loads the declaration of the ConfigMap that is mounted where -c looks, and
// wants its files to lie in memory and its address to be the one that is probed.
func (k kmsrun) checkDeclaration(t *testing.T, example string, p pod, c corev1.Container, args []string, objects []object) {
	t.Helper()
	text := declaration(p, c, args, objects)
	if text == "" {
		t.Errorf("%s: container %s: no declaration where -c looks", example, c.Name)
		return
	}
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	source := config.Source{File: file, Sidecar: args[0] == "sidecar"}
	for _, e := range c.Env {
		source.Environ = append(source.Environ, e.Name+"="+e.Value)
	}
	loaded, err := config.Load(source)
	if err != nil {
		t.Errorf("%s: container %s: %v", example, c.Name, err)
		return
	}
	if len(loaded.Files.Items) > 0 && !inMemory(p, c, filepath.Dir(loaded.Files.Dir)) {
		t.Errorf("%s: container %s: no volume in memory for files.dir %q to be made in", example, c.Name, loaded.Files.Dir)
	}
	for _, port := range c.Ports {
		if want := fmt.Sprintf(":%d", port.ContainerPort); port.Name == "kmsrun" && loaded.HTTP.Listen != want {
			t.Errorf("%s: container %s: http.listen: got %q, want %q as the port", example, c.Name, loaded.HTTP.Listen, want)
		}
	}
}

// declaration is the text of the file that -c names.
func declaration(p pod, c corev1.Container, args []string, objects []object) string {
	at := slices.Index(args, "-c") + 1
	for _, m := range c.VolumeMounts {
		if at == 0 || m.MountPath != filepath.Dir(args[at]) {
			continue
		}
		for _, v := range p.Spec.Volumes {
			for _, o := range of[*corev1.ConfigMap](objects) {
				if v.Name == m.Name && v.ConfigMap != nil && v.ConfigMap.Name == o.Name {
					return o.Data[filepath.Base(args[at])]
				}
			}
		}
	}
	return ""
}

// inMemory tells whether the container can write a directory that is an emptyDir in memory.
func inMemory(p pod, c corev1.Container, dir string) bool {
	for _, m := range c.VolumeMounts {
		for _, v := range p.Spec.Volumes {
			if m.MountPath == dir && !m.ReadOnly && v.Name == m.Name && v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumMemory {
				return true
			}
		}
	}
	return false
}
