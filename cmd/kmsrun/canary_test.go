package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// leaked finds a canary in any of the forms that an encoder might give it.
func leaked(text string) (string, bool) {
	for _, name := range []string{"access-key-secret", "token", "db-1", "db-2", "tls-1", "tls-2", "nul", "plain"} {
		c := canary(name)
		for _, form := range []string{
			c, url.QueryEscape(c), hex.EncodeToString([]byte(c)), fmt.Sprintf("%v", []byte(c)),
			strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(c)), "="),
		} {
			if strings.Contains(text, form) {
				return name, true
			}
		}
	}
	return "", false
}

func check(t *testing.T, where, text string) {
	t.Helper()
	if name, found := leaked(text); found {
		t.Errorf("the value %q leaked into %s:\n%s", name, where, text)
	}
}

// TestCanary plants values everywhere, runs the main job and every failure at debug
// level with the SDK's own debugging asked for, and searches all that came out.
func TestCanary(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", `{"password":"`+canary("db-1")+`","list":["`+canary("db-1")+`"]}`)
	s.put(t, "tls", "v1", canary("tls-1"))
	s.put(t, "nul", "v1", canary("nul")+"\x00")
	s.put(t, "plain", "v1", canary("plain"))
	dir := shm(t)
	socket := filepath.Join(dir, "http.sock")
	debug := "DEBUG=sdk,tea,credential"
	config := "KMSRUN_CONFIG=" + absolute(t, "testdata/fast.yaml")
	// The program tells that it was given the values without printing them.
	script := `trap 'echo read' HUP; trap 'exit 0' TERM; [ ${#DB} -ge 20 ] && [ -s $FILE ] && echo "$$ given DEBUG=$DEBUG"; while :; do sleep 0.02; done`
	r := start(t, s.environ(debug, config, "DB=kms://db#password", `FILE=unset`),
		"exec", "--log-level", "debug", "--listen", "unix:"+socket, "--dir", filepath.Join(dir, "files"),
		"-f", "key=kms://tls", "-e", "FILE=${files_dir}/key", "--on-file-change", "SIGHUP", "--", "sh", "-c", script)
	r.awaitOutput("given DEBUG=sdk,tea,credential\n")
	s.put(t, "tls", "v2", canary("tls-2"))
	r.awaitOutput("read\n")
	s.put(t, "db", "v2", `{"password":"`+canary("db-2")+`"}`)
	r.await("a restart", func() bool { return strings.Count(r.out.String(), "given") == 2 })
	s.put(t, "db", "v3", canary("db-1")) // not JSON any more: can't be rendered
	r.await("a failed rendering", func() bool { return strings.Contains(r.err.String(), "can't be rendered") })

	for _, path := range []string{"/metrics", "/livez", "/readyz", "/startupz", "/status", "/", "/debug/pprof/"} {
		_, body := get(t, socket, "GET", path)
		check(t, path, body)
	}
	_, body := get(t, socket, "POST", "/-/refresh")
	check(t, "refresh", body)
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", r.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	check(t, "argv", string(cmdline))
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0", got)
	}
	check(t, "stderr", r.err.String())
	check(t, "stdout", r.out.String())

	for name, args := range map[string][]string{
		"missing key":    {"-e", "X=kms://db#none"},
		"not JSON":       {"-e", "X=kms://plain#none"},
		"NUL":            {"-e", "X=kms://nul"},
		"missing secret": {"-e", "X=kms://none"},
		"bad filter":     {"-e", "X=" + canary("plain") + "${kms://db|none}"},
		"unclosed":       {"-e", "X=" + canary("plain") + "${kms://db#a " + canary("plain")},
		"disk":           {"-f", "x=kms://tls", "--dir", t.TempDir()},
	} {
		r := start(t, s.environ(debug), append(append([]string{"exec", "--log-level", "debug"}, args...), "--", "true")...)
		if got := r.wait(); got != 125 {
			t.Errorf("%s: got status %d, want 125; stderr:\n%s", name, got, r.err.String())
		}
		check(t, name, r.err.String()+r.out.String())
	}
	r = start(t, s.environ("KMSRUN_ENV=X=one\n"+canary("plain")), "exec", "--", "true") // a literal of two lines
	if got := r.wait(); got != 125 {
		t.Errorf("two lines: got status %d, want 125", got)
	}
	check(t, "two lines", r.err.String())
	for name, variable := range map[string]string{
		"wrong secret": "ALIBABA_CLOUD_ACCESS_KEY_SECRET=" + canary("token"),
		"token":        "ALIBABA_CLOUD_SECURITY_TOKEN=" + canary("token"),
	} {
		r := start(t, s.environ(debug, variable, "X=kms://tls"), "exec", "--log-level", "debug", "--", "true")
		if got := r.wait(); got != 125 {
			t.Errorf("%s: got status %d, want 125", name, got)
		}
		check(t, name, r.err.String()+r.out.String())
	}
}
