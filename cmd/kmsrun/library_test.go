package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"filippo.io/age/plugin"
)

// TestLibrariesSayNothing: net/http logs what it finds strange, with the bytes, and all of
// HTTP/2 if GODEBUG asks for it. Neither way may an answer of KMS come to stderr.
func TestLibrariesSayNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.put(t, "db", "v1", canary("db-1"))
	var broken atomic.Bool
	refused := make(chan struct{}, 100)
	for name, front := range map[string]*httptest.Server{
		"http1": httptest.NewUnstartedServer(talkative(s, &broken, refused)),
		"http2": httptest.NewUnstartedServer(s),
	} {
		front.EnableHTTP2 = name == "http2"
		front.StartTLS()
		defer front.Close()
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		environ := s.environ("KMSRUN_ENDPOINT="+front.URL, "GODEBUG=http2debug=2", "KMSRUN_CONFIG="+absolute(t, "testdata/fast.yaml"), "DB=kms://db")
		r := start(t, environ, "exec", "--log-level", "debug", "--ca-file", ca, "--", "sh", "-c", `trap 'exit 0' TERM; echo "$GODEBUG"; while :; do sleep 0.02; done`)
		r.awaitOutput("http2debug=2\n")
		if name == "http1" {
			broken.Store(true)
			<-refused
		}
		_ = r.Process.Signal(syscall.SIGTERM)
		if got := r.wait(); got != 0 {
			t.Errorf("%s: exit status: got %d, want 0", name, got)
		}
		check(t, name, r.err.String()+r.out.String())
	}
}

// talkative answers as KMS does and, once it is broken, goes on to talk unasked. It tells
// when a client has hung up on it for that.
func talkative(kms http.Handler, broken *atomic.Bool, refused chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !broken.Load() {
			kms.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		kms.ServeHTTP(answer, r)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		body := answer.Body.String()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d OK\r\nContent-Length: %d\r\n\r\n%s%s", answer.Code, len(body), body, body)
		for one := make([]byte, 1); ; {
			if _, err := conn.Read(one); err != nil {
				break
			}
		}
		refused <- struct{}{}
	}
}

// TestAgeSaysNothing: age prints what it says to a plugin, identities and file keys, if
// AGEDEBUG asks for it. The variable is the program's.
func TestAgeSaysNothing(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "../../seal/testdata/age-plugin-kmsruntest").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := newService(t)
	s.put(t, "db", "v1", canary("db-1"))
	declaration, sealed, identity := sealing(t, "")
	text := plugin.EncodeIdentity("kmsruntest", []byte("good"))
	if err := errors.Join(os.Chmod(identity, 0o600), os.WriteFile(identity, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	r := start(t, s.environ("DB=kms://db", "AGEDEBUG=plugin", "PATH="+bin+":"+os.Getenv("PATH")),
		"exec", "-c", declaration, "--log-level", "debug", "--", "sh", "-c", `trap 'exit 0' TERM; echo "given $AGEDEBUG"; while :; do sleep 0.02; done`)
	r.awaitOutput("given plugin\n")
	r.end(t)
	if _, err := os.Stat(sealed); err != nil {
		t.Fatal(err) // the plugin was not asked
	}
	if got := r.err.String(); strings.Contains(got, text) || strings.Contains(got, "file-key") {
		t.Errorf("what is said to the plugin is on stderr:\n%s", got)
	}
}
