package notify

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/proc"
)

func TestTouch(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "touched")
	tell := For(config.FileAction{Touch: file}, Commands{})
	if err := tell(t.Context(), News{}); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	if err := tell(t.Context(), News{}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.ModTime().Before(old.Add(time.Minute)) {
		t.Errorf("got %v %v, want it touched", info.ModTime(), err)
	}
	if err := Touch("/no/such/file")(t.Context(), News{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such directory: got %v", err)
	}
}

// TestHTTP: names and version ids arrive; what time may mend is told from what is wrong.
func TestHTTP(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	bodies := make(chan Body, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body Body
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s %s %v", r.Method, r.Header.Get("Content-Type"), err)
		}
		bodies <- body
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	tell := For(config.FileAction{HTTP: server.URL + "/?token=t0k3n"}, Commands{})
	for code, want := range map[int]string{200: "", 204: "", 302: "permanent", 404: "permanent", 429: "temporary", 503: "temporary"} {
		status.Store(int64(code))
		err := tell(t.Context(), News{Files: []string{"f"}, Secrets: []Secret{{"db", "ACSCurrent", "v2"}}})
		got := ""
		if _, temporary := errors.AsType[*Temporary](err); temporary {
			got = "temporary"
		} else if err != nil {
			got = "permanent"
		}
		if got != want {
			t.Errorf("%d: got %v, want %s", code, err, want)
		}
		text, _ := json.Marshal(<-bodies)
		if want := `{"variables":[],"files":["f"],"secrets":[{"secret":"db","stage":"ACSCurrent","version":"v2"}]}`; string(text) != want {
			t.Errorf("the body: got %s, want %s", text, want)
		}
	}
	server.Close()
	err := tell(t.Context(), News{})
	if _, temporary := errors.AsType[*Temporary](err); !temporary || strings.Contains(err.Error(), "t0k3n") {
		t.Errorf("nobody there: got %v, want it temporary, without the URL", err)
	}
}

// TestMailbox: one at a time, what comes meanwhile in one, and another try with it.
// TestStrangeAnswers: what answers with something that is no HTTP is not quoted.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = conn.Write([]byte("-ERR s3cr3t\r\n\r\n"))
		_ = conn.Close()
	}))
	defer server.Close()
	for what, err := range map[string]error{"on_change": HTTP(server.URL)(t.Context(), News{}), "health": Answers(t.Context(), server.URL)} {
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: got %v, want an error that quotes nothing", what, err)
		}
	}
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var told []string
		fail := 3
		m := NewMailbox(func(_ context.Context, news News) error {
			time.Sleep(time.Second)
			told = append(told, strings.Join(news.Files, "+")+"@"+news.Secrets[len(news.Secrets)-1].Version)
			if fail--; fail >= 0 {
				return &Temporary{errors.New("away")}
			}
			return nil
		}, func(News, error, time.Duration) {})
		go m.Run(ctx)
		send := func(file, version string) { m.Send(News{Files: []string{file}, Secrets: []Secret{{"s", "", version}}}) }
		send("a", "v1")
		synctest.Wait()
		send("b", "v2")
		send("c", "v3")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		send("d", "v4")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got, want := strings.Join(told, " "), "a@v1 a+b+c@v3 a+b+c@v3 a+b+c@v3 d@v4"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
	})
}

func TestChoose(t *testing.T) {
	t.Parallel()
	self := os.Getpid()
	nginx := []process{
		{1, 0, "/pause", "/pause"},
		{40, 0, "/usr/sbin/nginx", "nginx: master process nginx"},
		{41, 40, "/usr/sbin/nginx", "nginx: worker process"},
		{42, 41, "", "nginx: cache"},
		{50, 0, "/usr/bin/app", "server"},
		{60, 0, "/usr/bin/app", "other"},
		{self, 0, "/kmsrun", "kmsrun"},
		{70, 0, "", "hidden"},
	}
	for name, want := range map[string]string{
		"nginx": "40", "/usr/sbin/nginx": "40", "server": "50", "hidden": "70",
		"pause":        `no process runs "pause" here: is the PID namespace shared (shareProcessNamespace)?`,
		"kmsrun":       `no process runs "kmsrun" here: is the PID namespace shared (shareProcessNamespace)?`,
		"app":          `2 processes run "app": say which by its path, or by pid_file`,
		"/usr/bin/app": `2 processes run "/usr/bin/app": say which by its path, or by pid_file`,
	} {
		pid, err := choose(name, nginx)
		got := strconv.Itoa(pid)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

// TestSignalOthers signals real processes, by name and by file.
func TestSignalOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "pid")
	name := "kmsrun-test-sleeper-" + strconv.Itoa(os.Getpid())
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	for kind, a := range map[string]config.FileAction{
		"by name": {Signal: config.Signal(syscall.SIGUSR1), Process: name},
		"by file": {Signal: config.Signal(syscall.SIGUSR1), PIDFile: file},
	} {
		cmd := exec.Command(sleep, "1000")
		cmd.Args[0] = name
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := For(a, Commands{})(t.Context(), News{}); err != nil {
			t.Errorf("%s: %v", kind, err)
			_ = cmd.Process.Kill()
		}
		_ = cmd.Wait()
		if got := cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != syscall.SIGUSR1 {
			t.Errorf("%s: it died of %v, want SIGUSR1", kind, got)
		}
		if err := For(a, Commands{})(t.Context(), News{}); err == nil {
			t.Errorf("%s: it is gone, and no error", kind)
		}
	}
	other := exec.Command(sleep, "1000") // has the number now that was another's when we looked
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if err := signalPID(other.Process.Pid, syscall.SIGUSR1, func(p process) bool { return p.is(name) }); err == nil || !strings.Contains(err.Error(), "is not there any more") {
		t.Errorf("another process of that number: got %v", err)
	}
	_ = other.Process.Kill()
	_ = other.Wait()
	if got := other.ProcessState.Sys().(syscall.WaitStatus).Signal(); got != syscall.SIGKILL {
		t.Errorf("another process of that number: it died of %v", got)
	}
	for text, want := range map[string]string{
		"1": "which is the init process (or a program's own number, in a PID namespace that is not shared): that is never signalled", strconv.Itoa(os.Getpid()): "which is kmsrun itself: that is never signalled",
		"x": "does not hold the number of a process", "-5": "does not hold the number of a process",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := SignalFile(file, syscall.SIGUSR1)(t.Context(), News{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("pid_file with %s: got %v, want %s", text, err, want)
		}
	}
	pipe, endless := filepath.Join(t.TempDir(), "pipe"), filepath.Join(t.TempDir(), "endless")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.Symlink("/dev/zero", endless)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{pipe, endless} { // whose writer may never come
		if err := SignalFile(file, syscall.SIGUSR1)(t.Context(), News{}); err == nil || !strings.Contains(err.Error(), "is no regular file") {
			t.Errorf("pid_file %s: got %v", file, err)
		}
	}
	if err := explain(7, syscall.EPERM); !strings.Contains(err.Error(), "CAP_KILL") {
		t.Errorf("got %v, want it to say what to do", err)
	}
}

func TestFailure(t *testing.T) {
	t.Parallel()
	mask := func(text string) string { return strings.ReplaceAll(text, "canary", "***") }
	for name, test := range map[string]struct {
		result proc.Result
		want   string
	}{
		"success":  {proc.Result{Output: []byte("fine")}, ""},
		"silent":   {proc.Result{Status: proc.Status{Code: 3}}, `"x" ended with status 3`},
		"too long": {proc.Result{TimedOut: true, Output: []byte("waiting\n")}, `"x" took longer than 1s and was killed: waiting`},
		"masked":   {proc.Result{Status: proc.Status{Code: 1}, Output: []byte("a\nb\nc\nd\n\ne\nbad canary\n")}, `"x" ended with status 1: b | c | d | e | bad ***`},
	} {
		err := Failure("x", time.Second, test.result, mask)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s: got %s, want %s", name, got, test.want)
		}
	}
}
