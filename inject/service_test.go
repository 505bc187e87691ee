//go:build linux

package inject

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/secret"
)

// TestMain is also what programs of the tests speak to systemd with: "say LINE..." sends
// one datagram, with the file fd=PATH if that is among the lines.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "say" {
		say(os.Args[2:])
		return
	}
	os.Exit(m.Run())
}

func say(lines []string) {
	var rights []byte
	lines = slices.DeleteFunc(lines, func(line string) bool {
		path, ok := strings.CutPrefix(line, "fd=")
		if ok {
			file, err := os.Open(path)
			if err != nil {
				panic(err)
			}
			rights = unix.UnixRights(int(file.Fd()))
		}
		return ok
	})
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err == nil {
		err = unix.Sendmsg(socket, []byte(strings.Join(lines, "\n")), rights, &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}, 0)
	}
	if err != nil {
		panic(err)
	}
}

// manager is a systemd of the test: it writes down what it is told.
type manager struct {
	*run
	mu   sync.Mutex
	told []string // texts; descriptors as " +1"
}

// beginService runs a script as a service, with say for a command, and these variables
// besides NOTIFY_SOCKET.
func beginService(t *testing.T, v *vault, declaration, script string, variables ...string) *manager {
	t.Helper()
	m := prepareService(t, v, declaration, script, variables...)
	m.start()
	return m
}

func prepareService(t *testing.T, v *vault, declaration, script string, variables ...string) *manager {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{run: prepare(t, v, declaration, `say() { `+exe+` say "$@"; }; `+script)}
	path := filepath.Join(memory(t), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go m.listen(conn)
	environ := map[string]string{"NOTIFY_SOCKET": path}
	for _, variable := range variables {
		name, value, _ := strings.Cut(variable, "=")
		environ[name] = value
	}
	for name, value := range environ {
		m.exec.Environ = append(m.exec.Environ, name+"="+value)
	}
	m.exec.Lookup = func(name string) (string, bool) { value, ok := environ[name]; return value, ok }
	return m
}

func (m *manager) listen(conn *net.UnixConn) {
	text, control := make([]byte, 8192), make([]byte, 1024)
	for {
		n, size, _, _, err := conn.ReadMsgUnix(text, control)
		if err != nil {
			return
		}
		files := 0
		parts, _ := unix.ParseSocketControlMessage(control[:size])
		for _, part := range parts {
			all, _ := unix.ParseUnixRights(&part)
			for _, file := range all {
				_ = unix.Close(file)
			}
			files += len(all)
		}
		told := string(text[:n])
		if files > 0 {
			told += fmt.Sprintf(" +%d", files)
		}
		m.mu.Lock()
		m.told = append(m.told, told)
		m.mu.Unlock()
	}
}

func (m *manager) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.told)
}

// find is the position of the first message from one on that begins so, or -1.
func (m *manager) find(from int, prefix string) int {
	all := m.all()
	for i := from; i < len(all); i++ {
		if strings.HasPrefix(all[i], prefix) {
			return i
		}
	}
	return -1
}

// hears waits for a message that begins so, from one position on, and returns its own.
func (m *manager) hears(from int, prefix string) int {
	m.t.Helper()
	m.await("systemd to hear "+prefix, func() bool { return m.find(from, prefix) >= 0 })
	return m.find(from, prefix)
}

// ends asks the program to end, and waits for it.
func (m *manager) ends() {
	m.t.Helper()
	m.signals <- syscall.SIGTERM
	if _, err := m.wait(); err != nil {
		m.t.Error(err)
	}
}

const lives = `trap 'exit 0' TERM; echo "start $A" >>$DIR/said; while :; do sleep 0.01; done`

// TestReadyIsThePrograms: systemd hears of it when the program says so, and not before.
func TestReadyIsThePrograms(t *testing.T) {
	t.Parallel()
	m := beginService(t, &vault{}, "", `say STATUS=loading; while [ ! -e $DIR/go ]; do sleep 0.01; done; say MAINPID=1; say READY=1 STATUS=up MAINPID=$$; `+lives)
	m.hears(0, "STATUS=loading")
	if m.find(0, "READY") >= 0 {
		t.Errorf("ready before the program: %q", m.all())
	}
	if err := os.WriteFile(filepath.Join(m.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.hears(0, "READY=1\nSTATUS=up")
	m.ends()
	end := m.hears(0, "STOPPING=1")
	for i, told := range m.all() {
		if strings.Contains(told, "MAINPID") || i > m.find(0, "STATUS=loading") && strings.HasPrefix(told, "STATUS=") || i > end {
			t.Errorf("%q among %q", told, m.all())
		}
	}
}

// TestSilentProgram: one that never notifies is ready when it has started, or is healthy.
func TestSilentProgram(t *testing.T) {
	t.Parallel()
	for name, declaration := range map[string]string{"never": "child: {notify: never}", "auto": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := beginService(t, &vault{}, declaration, lives)
			m.says("start ")
			m.hears(m.hears(0, "READY=1"), "STATUS=generation 1 of the secrets, of ")
			m.ends()
			m.hears(0, "STOPPING=1")
		})
	}
	for _, notify := range []string{"never", "auto"} {
		t.Run("health and "+notify, func(t *testing.T) {
			t.Parallel()
			m := prepareService(t, &vault{}, "child: {notify: "+notify+"}\nhealth: {interval: 10ms, exec: [sh, -c, 'echo asked >>$DIR/said; test -e $DIR/healthy']}", lives)
			m.start()
			m.says("asked")
			if m.find(0, "READY") >= 0 {
				t.Errorf("ready before it is healthy: %q", m.all())
			}
			if err := os.WriteFile(filepath.Join(m.dir, "healthy"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			m.hears(0, "READY=1")
			m.ends()
		})
	}
}

// TestNotifyAlways: a program that is declared to notify is waited for.
func TestNotifyAlways(t *testing.T) {
	t.Parallel()
	m := beginService(t, &vault{}, "child: {notify: always}", lives)
	m.says("start ")
	m.hears(0, "STATUS=waiting for the program to be ready")
	m.ends()
	m.hears(0, "STOPPING=1")
	if m.find(0, "READY") >= 0 {
		t.Errorf("ready though nobody said so: %q", m.all())
	}
}

// TestEndsWellByItself: systemd is left to find out, and to run what it runs then.
func TestEndsWellByItself(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]bool{"exit 0": false, "exit 1": true, "kill -KILL $$": true, "say STOPPING=1; exit 0": true} {
		m := beginService(t, &vault{}, "", "say READY=1; "+script)
		if _, err := m.wait(); err != nil {
			t.Fatal(err)
		}
		m.hears(0, "READY=1")
		if want {
			m.hears(0, "STOPPING=1")
		}
		n := 0
		for _, told := range m.all() {
			if told == "STOPPING=1" {
				n++
			}
		}
		if n > 1 || want != (n == 1) {
			t.Errorf("%s: STOPPING %d times in %q", script, n, m.all())
		}
	}
}

// TestWaitForKMS: systemd is asked for time, and hears why.
func TestWaitForKMS(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	m := prepareService(t, v, "env: {A: kms://a}", "say READY=1; "+lives, "WATCHDOG_USEC=200000")
	release := make(chan struct{})
	fetch := m.exec.FetchFirst
	m.exec.FetchFirst = func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		<-release
		return fetch(ctx, patience, id)
	}
	m.exec.WaitsFor = func() error { return errors.New("KMS is\nout of reach") }
	m.start()
	m.hears(0, "EXTEND_TIMEOUT_USEC=10000000")
	m.hears(0, "STATUS=waiting for KMS before the program starts: KMS is out of reach")
	m.hears(0, "WATCHDOG=1") // of a service that systemd takes for started
	close(release)
	ready := m.hears(0, "READY=1")
	if granted := m.find(0, "EXTEND_TIMEOUT_USEC=90000000"); granted < 0 || granted > ready {
		t.Errorf("the program has no time of its own: %q", m.all())
	}
	m.ends()
}

// TestFailsBeforeTheStart: what systemctl status shows is why.
func TestFailsBeforeTheStart(t *testing.T) {
	t.Parallel()
	m := beginService(t, &vault{}, "env: {A: kms://a}", lives)
	if _, err := m.wait(); err == nil {
		t.Fatal("it ran")
	}
	m.hears(0, "STATUS=")
	if i := m.find(0, "STATUS="); !strings.Contains(m.all()[i], "no such secret: a") {
		t.Errorf("got %q", m.all())
	}
}

// TestRestartIsNoStop: a restart of ours does not show, and what the program had stored
// comes back to it.
func TestRestartIsNoStop(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	m := beginService(t, v, fast+"env: {A: kms://a}", `
trap 'say STOPPING=1 STATUS=bye ERRNO=1 X_LAST=$A; exit 0' TERM
echo "start $A $([ "$LISTEN_PID" = $$ ] && echo $LISTEN_FDS $LISTEN_FDNAMES $(cat <&3))" >>$DIR/said
if [ $A = one ]; then echo stored >$DIR/state; say FDSTORE=1 FDNAME=state fd=$DIR/state; say FDSTORE=1 FDNAME=again fd=$DIR/state; fi
[ $A != two ] || say FDSTOREREMOVE=1 FDNAME=state
say READY=1; while :; do sleep 0.01; done`)
	m.says("start one ")
	m.hears(0, "FDSTORE=1\nFDNAME=state +1")
	first := m.hears(0, "READY=1")
	v.put("a", "v2", "two")
	m.says("start two 1 state stored")
	last := m.hears(first, "X_LAST=one")
	second := m.hears(last, "READY=1")
	v.put("a", "v3", "three")
	m.says("start three ")
	m.hears(second+1, "READY=1")
	for _, word := range []string{"STOPPING", "bye", "ERRNO"} {
		if strings.Contains(strings.Join(m.all(), "\n"), word) {
			t.Errorf("%s of a restart: %q", word, m.all())
		}
	}
	m.ends()
	m.hears(0, "STOPPING=1\nSTATUS=bye\nERRNO=1")
}

// TestReloading: a signal reload shows as one, with the time that systemd asks for since
// its version 253, and is over when the program is healthy.
func TestReloading(t *testing.T) {
	t.Parallel()
	for name, health := range map[string]string{"": "", "health": "health: {settle: 500ms, interval: 10ms, exec: [sh, -c, '! grep -q hup $DIR/said || test -e $DIR/healthy']}\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &vault{}
			v.put("f", "v1", "one")
			m := beginService(t, v, watched+"files: {items: {f: kms://f}}\non_change: {files: SIGHUP}\n"+health,
				`trap 'echo hup >>$DIR/said; say X_HUP=1' HUP; trap 'exit 0' TERM; say READY=1; echo "start" >>$DIR/said; while :; do sleep 0.01; done`)
			m.says("start")
			ready := m.hears(0, "READY=1")
			before := monotonic(t)
			v.put("f", "v2", "two")
			begin := m.hears(ready, "RELOADING=1\nMONOTONIC_USEC=")
			_, text, _ := strings.Cut(m.all()[begin], "MONOTONIC_USEC=")
			if usec, err := strconv.ParseInt(text, 10, 64); err != nil || usec < before || usec > monotonic(t) {
				t.Errorf("got the time %q, want one from %d on", text, before)
			}
			hup := m.hears(0, "X_HUP=1")
			if health != "" {
				if m.find(begin, "READY=1") >= 0 {
					t.Errorf("ready before it is healthy: %q", m.all())
				}
				if err := os.WriteFile(filepath.Join(m.dir, "healthy"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
				begin = max(begin, hup)
			}
			m.hears(begin, "READY=1")
			m.ends()
		})
	}
}

// TestRollbackWhileReloading: what undoes the reload ends it too.
func TestRollbackWhileReloading(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	m := beginService(t, v, watched+`
files: {items: {f: kms://f}}
on_change: {files: SIGHUP, min_interval: 0s}
health: {settle: 3s, within: 4s, interval: 10ms, exec: [sh, -c, '! grep -q hup $DIR/said']}`,
		`trap 'echo hup >>$DIR/said' HUP; trap 'exit 0' TERM; [ ! -e $DIR/said ] || echo again >>$DIR/said; echo start >>$DIR/said; say READY=1; while :; do sleep 0.01; done`)
	ready := m.hears(0, "READY=1")
	v.put("f", "v2", "two")
	reload := m.hears(ready, "RELOADING=1")
	m.says("again")
	m.hears(reload, "READY=1")
	if m.find(0, "STOPPING") >= 0 {
		t.Errorf("a rollback looks like a stop: %q", m.all())
	}
	m.ends()
}

// TestReloadOfSilentProgram: systemctl reload of a unit with Type=notify-reload waits for
// an answer, which one that never notifies does not give.
func TestReloadOfSilentProgram(t *testing.T) {
	t.Parallel()
	m := beginService(t, &vault{}, "child: {notify: never}", `trap 'echo hup >>$DIR/said' HUP; `+lives)
	m.says("start ")
	ready := m.hears(0, "READY=1")
	m.signals <- syscall.SIGHUP
	m.hears(m.hears(ready, "RELOADING=1\nMONOTONIC_USEC="), "READY=1")
	m.says("hup")
	m.ends()
}

// TestSidecarIsReady when its files are there; it answers the watchdog and a reload.
func TestSidecarIsReady(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("f", "v1", "one")
	m := prepareService(t, v, watched+"files: {items: {f: kms://f}}", "", "WATCHDOG_USEC=20000")
	m.exec.Argv = nil
	m.start()
	ready := m.hears(0, "READY=1")
	if got := m.file("f"); got != "one" {
		t.Errorf("when it was ready, the file: got %q, want one", got)
	}
	m.hears(ready, "STATUS=generation 1 of the secrets")
	m.hears(ready, "WATCHDOG=1")
	m.signals <- syscall.SIGHUP
	m.hears(m.hears(ready, "RELOADING=1\nMONOTONIC_USEC="), "READY=1")
	m.ends()
	m.hears(ready, "STOPPING=1")
}

func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// TestWatchdog: ours until the program answers it itself; then its own, and nobody does in
// its place, but during a restart of ours.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	m := beginService(t, v, fast+"env: {A: kms://a}", `
trap 'while [ ! -e $DIR/go ]; do sleep 0.01; done; exit 0' TERM
echo "start $A $WATCHDOG_USEC $([ $WATCHDOG_PID = $$ ] && echo mine)" >>$DIR/said
say READY=1; [ $A = two ] || { while [ ! -e $DIR/hang ]; do sleep 0.01; done; say WATCHDOG=1 X_LAST=1; }
n=0; while :; do n=$((n+1)); say X_N=$n; sleep 0.01; done`, "WATCHDOG_USEC=20000", fmt.Sprintf("WATCHDOG_PID=%d", os.Getpid()))
	m.says("start one 20000 mine")
	ready := m.hears(0, "READY=1")
	m.hears(m.hears(ready, "WATCHDOG=1")+1, "WATCHDOG=1")
	if err := os.WriteFile(filepath.Join(m.dir, "hang"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	last := m.hears(0, "WATCHDOG=1\nX_LAST=1")
	m.hears(last, "X_N=5") // some intervals: each is a process
	if m.find(last+1, "WATCHDOG=1") >= 0 {
		t.Errorf("answered in the place of the program: %q", m.all())
	}
	v.put("a", "v2", "two")
	restart := m.hears(last+1, "WATCHDOG=1") // it does not stop, so this is ours
	if err := os.WriteFile(filepath.Join(m.dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.says("start two 20000 mine")
	second := m.hears(restart, "READY=1")
	m.hears(second, "X_N=5")
	if m.find(second+1, "WATCHDOG=1") >= 0 {
		t.Errorf("the new program's silence is covered up: %q", m.all()[restart:])
	}
	m.ends()
}

// TestWatchEvery: what the program asks for its watchdog may end it, and makes nobody busy.
func TestWatchEvery(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"0": 0, "1": shortestWatch, "2": shortestWatch, "3000000": 1500 * time.Millisecond} {
		if got, ok := watchEvery(text); got != want || !ok {
			t.Errorf("%s: got %v %t, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "-1", "x", "18446744073709551615"} {
		if _, ok := watchEvery(text); ok {
			t.Errorf("%q was taken for an interval", text)
		}
	}
}

// TestHooksAreNoService: what systemd gives the program is not for our commands.
func TestHooksAreNoService(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	show := `env | grep -E "^(NOTIFY_SOCKET|LISTEN_|WATCHDOG_)" >>$DIR/hooks; ls -l /proc/self/fd | grep -c socket: >>$DIR/files; true`
	m := beginService(t, v, fast+`
env: {A: kms://a}
verify: {exec: [sh, -c, '`+show+`']}
child: {pre_stop: [sh, -c, '`+show+`'], notify: never, sockets: ["tcp://127.0.0.1:0"]}
health: {interval: 10ms, exec: [sh, -c, '`+show+`']}`, `ls -l /proc/self/fd | grep -c socket: >>$DIR/program; `+lives, "WATCHDOG_USEC=10000000")
	m.says("start one")
	v.put("a", "v2", "two")
	m.says("start two")
	m.ends()
	if leaked, err := os.ReadFile(filepath.Join(m.dir, "hooks")); err != nil || len(leaked) > 0 {
		t.Errorf("got %q %v, want nothing", leaked, err)
	}
	number := func(file string) int {
		text, err := os.ReadFile(filepath.Join(m.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		n, _ := strconv.Atoi(strings.Fields(string(text))[0])
		return n
	}
	if hook, program := number("files"), number("program"); hook != 0 || program != 1 {
		t.Errorf("a hook has %d sockets, the program %d: want none and one", hook, program)
	}
}

// TestSocketsStay: each start gets the same sockets, under the program's own id.
func TestSocketsStay(t *testing.T) {
	t.Parallel()
	v := &vault{}
	v.put("a", "v1", "one")
	path := filepath.Join(memory(t), "s")
	r := begin(t, v, fast+`
env: {A: kms://a}
child: {sockets: ["web=tcp://127.0.0.1:0", "unix:`+path+`"]}`,
		`trap 'exit 0' TERM; echo "$LISTEN_FDS $LISTEN_FDNAMES $(readlink /proc/$$/fd/3 /proc/$$/fd/4 | tr '\n' ' ')$([ $LISTEN_PID = $$ ] && echo mine)" >>$DIR/said; echo "start $A" >>$DIR/said; while :; do sleep 0.01; done`)
	r.says("start one")
	v.put("a", "v2", "two")
	r.says("start two")
	r.signals <- syscall.SIGTERM
	if _, err := r.wait(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(r.said(), "\n")
	if got := lines[0]; got != lines[2] || !strings.HasPrefix(got, "2 web:unknown socket:[") || !strings.HasSuffix(got, " mine") {
		t.Errorf("got %q, then %q, want the same two sockets", got, lines[2])
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the unix socket after the end: got %v, want it gone", err)
	}
}
