//go:build linux

package systemd

import (
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func dial(t *testing.T, address string) *Manager {
	t.Helper()
	m, err := Dial(address, silent())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func take(t *testing.T, r *Relay) Message {
	t.Helper()
	select {
	case m := <-r.Messages():
		return m
	case <-time.After(patience):
		t.Fatal("nothing was heard")
		return Message{}
	}
}

func TestMessage(t *testing.T) {
	t.Parallel()
	m := Parse("READY=1\nSTATUS=a=b\n\nMAINPID=7\nSTATUS=last\n")
	if status, found := m.Get("STATUS"); status != "last" || !found || !m.Says("READY=1") || m.Says("READY=") {
		t.Errorf("got %q %v of %q", status, found, m.Lines)
	}
	if got := m.Without("MAINPID", "STATUS").Text(); got != "READY=1" {
		t.Errorf("got %q, want READY=1", got)
	}
	if len(m.Lines) != 4 {
		t.Errorf("Without changed the message: %q", m.Lines)
	}
}

// TestRelay: texts come in their order, with their descriptors; and what was sent before
// the end is not lost.
func TestRelay(t *testing.T) {
	t.Parallel()
	r, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	m := dial(t, r.Address())
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	from := os.NewFile(uintptr(pipe[0]), "pipe")
	defer from.Close()
	m.Send(Parse("STATUS=one"))
	m.Send(Message{Lines: []string{"BARRIER=1"}, Files: pipe[1:]})
	m.Send(Parse(strings.Repeat("x", textLimit+1))) // systemd would not take it
	m.Send(Parse("STATUS=two"))
	m.Send(Parse("STATUS=three"))
	if got := take(t, r); got.Text() != "STATUS=one" || len(got.Files) != 0 {
		t.Errorf("got %+v", got)
	}
	barrier := take(t, r)
	if barrier.Text() != "BARRIER=1" || len(barrier.Files) != 1 {
		t.Fatalf("got %+v, want the barrier and its descriptor", barrier)
	}
	_ = from.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := from.Read(make([]byte, 1)); !os.IsTimeout(err) {
		t.Errorf("the barrier is down before it was closed: %v", err)
	}
	barrier.Close()
	_ = from.SetReadDeadline(time.Now().Add(patience))
	if _, err := from.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v, want the end of the pipe", err)
	}
	m.Close(patience)
	var rest []string
	for _, m := range r.Close() {
		rest = append(rest, m.Text())
	}
	if want := []string{"STATUS=two", "STATUS=three"}; !slices.Equal(rest, want) {
		t.Errorf("the rest: got %q, want %q", rest, want)
	}
	if _, open := <-r.Messages(); open {
		t.Error("the relay is open after its end")
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	r, err := Listen(1234)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, test := range []struct {
		sender unix.Ucred
		want   bool
	}{
		{unix.Ucred{Pid: 1, Uid: 4321}, false},
		{unix.Ucred{Pid: 0, Uid: 4321}, false}, // of another namespace
		{unix.Ucred{Pid: 1, Uid: 1234}, true},
		{unix.Ucred{Pid: 1, Uid: 0}, true},
		{unix.Ucred{Pid: int32(os.Getpid()), Uid: 4321}, true},
	} {
		if got := r.trusts(&test.sender); got != test.want {
			t.Errorf("%+v: got %v, want %v", test.sender, got, test.want)
		}
	}
}

func TestDialRefuses(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "@", "/", "vsock:2:1", "relative"} {
		if m, err := Dial(address, silent()); err == nil {
			m.Close(patience)
			t.Errorf("%q was taken for an address", address)
		}
	}
	m := dial(t, "/nowhere/"+strings.Repeat("x", 200)) // too long: an error at each send, and no harm
	m.Send(Parse("READY=1"))
	m.Close(patience)
}

// TestNotifies: a program's code tells whether it could notify; this one could.
func TestNotifies(t *testing.T) {
	t.Parallel()
	if !Notifies(t.Context(), os.Getpid()) {
		t.Error("this program has NOTIFY_SOCKET in it, and was not found to")
	}
	sleep := exec.Command("sleep", "100")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sleep.Process.Kill(); _ = sleep.Wait() }()
	exe := "/proc/" + strconv.Itoa(sleep.Process.Pid) + "/exe"
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // until it is sleep, and not this program's fork
		if path, _ := os.Readlink(exe); strings.HasSuffix(path, "/sleep") || strings.HasSuffix(path, "/coreutils") || strings.HasSuffix(path, "/busybox") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("sleep did not start")
		}
	}
	if Notifies(t.Context(), sleep.Process.Pid) {
		t.Error("sleep is said to notify")
	}
}

// TestHolds: a word across two reads is found.
func TestHolds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, before := range []int{0, 1, 256<<10 - 5, 256 << 10, 600 << 10} {
		text := strings.Repeat("-", before) + "NOTIFY_SOCKET"
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if !holds(t.Context(), root, "file", "NOTIFY_SOCKET") {
			t.Errorf("not found behind %d bytes", before)
		}
		if holds(t.Context(), root, "file", "NOTIFY_SOCKETS") {
			t.Errorf("found what is not there, behind %d bytes", before)
		}
	}

	// What a program may put in the place of its code.
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pipe", "link", "none"} {
		if holds(t.Context(), root, name, "NOTIFY_SOCKET") {
			t.Errorf("%s was read", name)
		}
	}
}

func TestExecuted(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"7f00-7f10 r-xp 00000000 fd:01 1234                       /usr/lib/libsystemd.so.0\n": "usr/lib/libsystemd.so.0",
		"7f00-7f10 r-xp 00000000 fd:01 1234                       /opt/a b\n":                 "opt/a b",
		"7f00-7f10 r--p 00000000 fd:01 1234                       /usr/lib/libsystemd.so.0\n": "",
		"7f00-7f10 r-xp 00000000 fd:01 1234                       /tmp/x (deleted)\n":         "",
		"7f00-7f10 r-xp 00000000 00:00 0                          [vdso]\n":                   "",
		"7f00-7f10 r-xp 00000000 00:00 0 \n":                                                  "",
	} {
		if got := executed(line); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	first, err := Open("", "unix", path)
	if err != nil || first.Name != "unknown" {
		t.Fatal(first, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("got %v %v, want mode 0666", info, err)
	}
	if flags, err := unix.FcntlInt(uintptr(first.FD), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("got flags %#x %v, want a blocking socket", flags, err)
	}
	if _, err := Open("", "unix", path); err == nil || err.Error() != "another process listens there" {
		t.Errorf("a second one: got %v", err)
	}
	_ = unix.Close(first.FD) // leaves the path, as a process that is killed does
	second, err := Open("", "unix", path)
	if err != nil {
		t.Errorf("over a stale one: %v", err)
	}
	_ = unix.Close(second.FD)
	if err := os.WriteFile(path+"f", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("", "unix", path+"f"); err == nil || !strings.Contains(err.Error(), "something else than a socket") {
		t.Errorf("over a file: got %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Open("", "tcp", taken.Addr().String()); err == nil || err.Error() != "address already in use" {
		t.Errorf("over another's: got %v", err)
	}
}

// TestInherited: what is another process's is not ours, nor what is not there.
func TestInherited(t *testing.T) {
	t.Parallel()
	for _, test := range []map[string]string{
		{"LISTEN_PID": "1", "LISTEN_FDS": "1"},
		{"LISTEN_FDS": "1"},
		{"LISTEN_PID": strconv.Itoa(os.Getpid()), "LISTEN_FDS": "-1"},
		{"LISTEN_PID": strconv.Itoa(os.Getpid()), "LISTEN_FDS": "100000"}, // Go's own are among them
	} {
		if got := Inherited(func(name string) (string, bool) { v, ok := test[name]; return v, ok }); len(got) > 0 {
			t.Errorf("%v: got %v, want none", test, got)
		}
	}
}
