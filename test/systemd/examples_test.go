//go:build linux

package systemd

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestExamples: what examples/systemd says is installed as it is, and works: with the
// hardening, as a dynamic user, with the access key as credentials. Only the region's
// endpoint is another.
func TestExamples(t *testing.T) {
	k := newKMS(t, booted, "examples")
	seed := func(password string) {
		t.Helper()
		k.write(t, "/run/"+k.name+".yaml", "secrets:\n  prod/db: {value: {AccountPassword: "+password+"}}\n  prod/tls: {value: {crt: c, key: k}}\n")
	}
	seed("first")
	k.write(t, "/etc/app/access-key-id", "emulator")
	k.write(t, "/etc/app/access-key-secret", "emulator-secret")
	here := "[Service]\nEnvironment=ALIBABA_CLOUD_ECS_METADATA_DISABLED=true KMSRUN_INTERVAL=100ms KMSRUN_ENDPOINT=http://127.0.0.1:" + strconv.Itoa(k.port) + "\n"
	for _, name := range []string{"app.service", "plain.service", "plain.service.d/kmsrun.conf", "web.service", "web.socket", "kmsrun.yaml"} {
		text, err := os.ReadFile(filepath.Join("../../examples/systemd", name))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case name == "kmsrun.yaml":
			k.write(t, "/etc/app/kmsrun.yaml", string(text))
		case filepath.Dir(name) == ".":
			k.unit(t, name, string(text))
			if strings.HasSuffix(name, ".service") {
				k.write(t, "/run/systemd/system/"+name+".d/test.conf", here)
			}
		default:
			k.write(t, "/run/systemd/system/"+name, string(text))
		}
	}
	k.do(t, "systemctl", "daemon-reload")
	for _, name := range []string{"app.service", "plain.service", "web.service", "web.socket"} {
		k.do(t, "systemd-analyze", "verify", "/run/systemd/system/"+name)
	}
	k.do(t, "systemd-analyze", "security", "--offline=true", "--threshold=20", "/run/systemd/system/app.service")

	k.do(t, "systemctl", "start", "app", "plain", "web.socket")
	k.gets(t, "app", "ActiveState=active", "SubState=running", "DynamicUser=yes")
	k.gets(t, "plain", "ActiveState=active", "SubState=running")
	if got := k.do(t, "sh", "-c", "cat /run/app/tls.key"); got != "k" {
		t.Errorf("the file of the dynamic user: got %q", got)
	}
	if got := k.do(t, "sh", "-c", "tr '\\0' '\\n' </proc/$(pgrep -x -P $(systemctl show -P MainPID app) app)/environ | grep -E '^(DB_PASSWORD|WATCHDOG_USEC|CREDENTIALS_DIRECTORY|RUNTIME_DIRECTORY)=' | sort"); got !=
		"CREDENTIALS_DIRECTORY=/run/credentials/app.service\nDB_PASSWORD=first\nRUNTIME_DIRECTORY=/run/app\nWATCHDOG_USEC=30000000\n" {
		t.Errorf("the app's environment: got %q", got)
	}
	k.do(t, "systemctl", "reload", "app")
	k.says(t, "app", "reload")
	k.do(t, "/usr/bin/app", "-ask", "tcp!127.0.0.1:8080")
	k.gets(t, "web", "ActiveState=active", "SubState=running")
	seed("second")
	k.await(t, "another start", func() bool { return k.said(t, "app", "start A=") == 2 })
	k.gets(t, "app", "ActiveState=active", "SubState=running", "NRestarts=0")
	k.do(t, "systemctl", "stop", "app")
	k.gets(t, "app", "ActiveState=inactive", "Result=success")
	if got, err := k.run("", "ls", "/run/app"); err == nil {
		t.Errorf("/run/app is there after the end: %q", got)
	}
}
