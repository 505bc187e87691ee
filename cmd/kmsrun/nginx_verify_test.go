package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestNginxVerifies: nginx -t reads the real paths, and so judges after the flip. A
// certificate with the key of another is flipped back before nginx hears of it.
func TestNginxVerifies(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("nginx")
	need(t, err == nil, "nginx")
	s := newService(t)
	s.put(t, "web/tls", "serial-1", pair(t, 1))
	dir, files, port := t.TempDir(), filepath.Join(shm(t), "files"), freePort(t)
	conf, declaration := filepath.Join(dir, "nginx.conf"), filepath.Join(dir, "kmsrun.yaml")
	for file, text := range map[string]string{
		conf: fmt.Sprintf(nginxConf, dir, port, files),
		declaration: fmt.Sprintf(`
files: {dir: %s, items: {tls.crt: kms://web/tls#crt, tls.key: kms://web/tls#key}}
watch: {interval: 100ms, debounce: 0s}
on_change: {files: SIGHUP}
verify: {exec: [%s, -t, -q, -c, %s], when: after}
`, files, path, conf),
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, s.environ(), "exec", "-c", declaration, "--", path, "-c", conf, "-g", "daemon off;")
	address := "127.0.0.1:" + strconv.Itoa(port)
	r.await("nginx", func() bool { return serial(address) == 1 })

	var two, three map[string]string
	for value, into := range map[string]*map[string]string{pair(t, 2): &two, pair(t, 3): &three} {
		if err := json.Unmarshal([]byte(value), into); err != nil {
			t.Fatal(err)
		}
	}
	mixed, err := json.Marshal(map[string]string{"crt": two["crt"], "key": three["key"]})
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "web/tls", "serial-2", string(mixed))
	r.await("the refusal", func() bool { return strings.Contains(r.err.String(), "a version is held back") })
	r.await("the first pair", func() bool { return readPair(files) == nil })
	if got := serial(address); got != 1 {
		t.Errorf("after the refusal: got certificate %d, want 1", got)
	}
	if text := r.err.String(); !strings.Contains(text, "key values mismatch") || strings.Contains(text, "PRIVATE KEY") {
		t.Errorf("want what nginx said, and no key:\n%s", text)
	}
	s.put(t, "web/tls", "serial-4", pair(t, 4))
	r.await("the next certificate", func() bool { return serial(address) == 4 })
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0; stderr:\n%s", got, r.err.String())
	}
}
