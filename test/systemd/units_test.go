//go:build linux

package systemd

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// TestNotify: the program's READY and STATUS are the unit's, whoever may speak.
func TestNotify(t *testing.T) {
	k := newKMS(t, booted, "notify")
	prefix := k.prefix(t, "")
	for _, access := range []string{"main", "all"} {
		unit := "notify-" + access
		k.service(t, unit, "Type=notify\nNotifyAccess="+access+"\nExecStart="+prefix+"/usr/bin/app -notify -ready-after 2s -status up\n")
		k.starts(t, unit, "0")
		if got := k.property(t, unit, "SubState"); got != "start" {
			t.Errorf("%s: got %s before the program is ready, want start", unit, got)
		}
		k.gets(t, unit, "ActiveState=active", "SubState=running", "StatusText=up", "NRestarts=0")
		if comm := k.do(t, "cat", "/proc/"+k.property(t, unit, "MainPID")+"/comm"); comm != "kmsrun\n" {
			t.Errorf("%s: the main process is %q, want kmsrun", unit, comm)
		}
		k.do(t, "systemctl", "stop", unit)
		k.gets(t, unit, "ActiveState=inactive", "Result=success")
	}
}

// TestSilent: a program that never notifies is up when it has started.
func TestSilent(t *testing.T) {
	k := newKMS(t, booted, "silent")
	k.service(t, "silent", "Type=notify\nExecStart="+k.prefix(t, "")+"/bin/sleep 1000\n")
	k.gets(t, "silent", "ActiveState=active", "SubState=running")
	if status := k.property(t, "silent", "StatusText"); !strings.HasPrefix(status, "generation 1 of the secrets, of ") {
		t.Errorf("got the status %q", status)
	}
	k.service(t, "silent-app", "Type=notify\nExecStart="+k.prefix(t, "child: {notify: never}\n")+"/usr/bin/app\n")
	k.gets(t, "silent-app", "ActiveState=active", "SubState=running")
}

// TestOnce: what becomes the program leaves it to speak for itself, but for one that never does.
func TestOnce(t *testing.T) {
	k := newKMS(t, booted, "once")
	once := func(more string) string { return strings.Replace(k.prefix(t, more), "exec", "exec --once", 1) }
	k.service(t, "once", "Type=notify\nWatchdogSec=2\nExecStart="+once("")+"/usr/bin/app -notify -watchdog -ready-after 1s -status up\n")
	k.gets(t, "once", "ActiveState=active", "SubState=running", "StatusText=up")
	if comm := k.do(t, "cat", "/proc/"+k.property(t, "once", "MainPID")+"/comm"); comm != "app\n" {
		t.Errorf("the main process is %q, want app", comm)
	}
	k.service(t, "once-silent", "Type=notify\nExecStart="+once("child: {notify: never}\n")+"/usr/bin/app\n")
	k.gets(t, "once-silent", "ActiveState=active", "SubState=running")
}

// TestLateKMS: the start has its time, and the wait for KMS is not taken from it.
func TestLateKMS(t *testing.T) {
	k := newKMS(t, booted, "late")
	k.do(t, "systemctl", "stop", k.name)
	k.unit(t, "late.service", "[Service]\n"+key+"Type=notify\nTimeoutStartSec=3\nExecStart="+k.prefix(t, "")+"/usr/bin/app -notify -ready-after 2s\n")
	k.do(t, "systemctl", "start", "--no-block", "late")
	k.await(t, "the status", func() bool {
		return strings.HasPrefix(k.property(t, "late", "StatusText"), "waiting for KMS before the program starts: ")
	})
	k.await(t, "more than its time to pass", func() bool {
		began, now := k.property(t, "late", "ExecMainStartTimestampMonotonic"), k.do(t, "cut", "-d.", "-f1", "/proc/uptime")
		return number(strings.TrimSpace(now)) > number(began)/1000000+6
	})
	k.gets(t, "late", "ActiveState=activating", "SubState=start")
	k.start(t)
	k.gets(t, "late", "ActiveState=active", "SubState=running", "NRestarts=0")
}

// TestWatchdog: it is the program's, through restarts of ours; or kmsrun's loop's.
func TestWatchdog(t *testing.T) {
	k := newKMS(t, booted, "watchdog")
	prefix := k.prefix(t, "on_change: {min_interval: 0s, max_per_hour: 0}\n")
	unit := func(name, command string) {
		t.Helper()
		k.service(t, name, "Type=notify\nWatchdogSec=2\nExecStart="+prefix+command+"\n")
	}
	unit("kept", "/usr/bin/app -notify -watchdog")
	unit("lost", "/usr/bin/app -notify -watchdog -hang-after 1s")
	unit("ours", "/usr/bin/app -notify")
	unit("stuck", "/usr/bin/app -notify")
	for _, name := range []string{"kept", "ours", "stuck"} {
		k.gets(t, name, "ActiveState=active")
	}
	k.gets(t, "lost", "Result=watchdog")
	k.do(t, "systemctl", "kill", "--kill-whom=main", "-s", "STOP", "stuck") // our loop does not turn
	k.gets(t, "stuck", "Result=watchdog")
	for n := 1; n <= 3; n++ {
		k.rotate(t, strconv.Itoa(n))
		k.starts(t, "kept", strconv.Itoa(n))
		k.starts(t, "ours", strconv.Itoa(n))
	}
	for _, name := range []string{"kept", "ours"} {
		k.await(t, "some intervals to pass", func() bool {
			up, now := k.property(t, name, "ActiveEnterTimestampMonotonic"), k.do(t, "cut", "-d.", "-f1", "/proc/uptime")
			return number(strings.TrimSpace(now)) > number(up)/1000000+6
		})
		k.gets(t, name, "ActiveState=active", "SubState=running", "NRestarts=0")
	}
}

// TestReload: SIGHUP of ExecReload= is the app's; and a change of files shows as a reload.
func TestReload(t *testing.T) {
	k := newKMS(t, booted, "reload")
	prefix := k.prefix(t, "")
	k.service(t, "reload", "Type=notify\nExecReload=/bin/kill -HUP $MAINPID\nExecStart="+prefix+"/usr/bin/app -notify\n")
	k.gets(t, "reload", "ActiveState=active", "SubState=running")
	k.do(t, "systemctl", "reload", "reload")
	k.says(t, "reload", "reload")
	k.gets(t, "reload", "ActiveState=active", "SubState=running", "StatusText=reloaded")

	signalled := strings.Replace(k.prefix(t, "files: {items: {f: kms://file}}\non_change: {env: none, files: SIGHUP}\n"), "-c", "--no-scan-env -c", 1)
	k.service(t, "signalled", "Type=notify\nRuntimeDirectory=signalled\nExecStart="+signalled+"/usr/bin/app -notify\n")
	k.gets(t, "signalled", "ActiveState=active", "SubState=running")
	k.rotate(t, "1")
	k.says(t, "signalled", "reload")
	k.gets(t, "signalled", "ActiveState=active", "SubState=running", "NRestarts=0", "StatusText=reloaded")
}

// TestEnds: however the app ends, a unit with the prefix shows what one without shows.
func TestEnds(t *testing.T) {
	k := newKMS(t, booted, "ends")
	prefix := k.prefix(t, "")
	const properties = "Type,NotifyAccess,Restart,ActiveState,SubState,Result,ExecMainCode,ExecMainStatus,StatusErrno,NRestarts," +
		"WatchdogUSec,TimeoutStopUSec,RemainAfterExit,SuccessExitStatus,RestartPreventExitStatus,KillMode"
	for i, test := range []struct {
		name, settings, app string
		stop                bool // rather than wait for its end
		result              string
	}{
		{"runs", "Type=notify\nExecStop=/bin/true\n", "-notify -status up", false, "success"},
		{"stops", "Type=notify\n", "-notify -status up", true, "success"},
		{"simple", "", "-end-after 100ms", false, "success"},
		{"exec", "Type=exec\n", "-end-after 100ms -exit 3", false, "exit-code"},
		{"code", "Type=notify\n", "-notify -end-after 100ms -exit 3", false, "exit-code"},
		{"known code", "SuccessExitStatus=42\n", "-end-after 100ms -exit 42", false, "success"},
		{"signal", "Type=notify\n", "-notify -end-after 100ms -die 9", false, "signal"},
		{"term", "", "-end-after 100ms -die 15", false, "success"},
		{"remains", "Type=notify\nRemainAfterExit=yes\n", "-notify -end-after 1s", false, "success"},
		{"at its end", "Type=notify\nExecStop=/bin/false\n", "-notify -end-after 100ms", false, "exit-code"},
		{"restarts", "Restart=on-failure\nRestartSec=100ms\n\n[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=1h\n[Service]\n", "-end-after 100ms -exit 3", false, "exit-code"},
		{"not restarted", "Restart=on-failure\nRestartPreventExitStatus=3\nRestartSec=100ms\n", "-end-after 100ms -exit 3", false, "exit-code"},
		{"stop timeout", "Type=notify\nTimeoutStopSec=1\n", "-notify -ignore-term", true, "timeout"},
		{"protocol", "Type=notify\n", "-end-after 100ms", false, "protocol"},
	} {
		t.Run(test.name, func(t *testing.T) {
			unit := fmt.Sprintf("ends-%d", i)
			for suffix, before := range map[string]string{"": "", "-kmsrun": prefix} {
				k.install(t, unit+suffix, test.settings+"ExecStart="+before+"/usr/bin/app "+test.app+"\n")
			}
			k.do(t, "systemctl", "start", "--no-block", unit, unit+"-kmsrun")
			asked := properties
			if test.result != "protocol" { // else the last to speak was kmsrun
				asked += ",StatusText"
			}
			shows := func(suffix string) string { return k.do(t, "systemctl", "show", "-p", asked, unit+suffix) }
			for _, suffix := range []string{"", "-kmsrun"} {
				k.says(t, unit+suffix, "start A=")
				if strings.Contains(test.app, "-notify") && !strings.Contains(test.app, "-end-after 100ms") {
					k.gets(t, unit+suffix, "ActiveState=active")
				}
				if test.stop {
					_, _ = k.run("", "systemctl", "stop", unit+suffix)
				}
			}
			k.gets(t, unit, "Result="+test.result)
			k.gets(t, unit+"-kmsrun", "Result="+test.result)
			var got, want string // of one moment: a unit that is restarted goes on changing
			k.await(t, "the same properties", func() bool {
				got, want = shows("-kmsrun"), shows("")
				return got == want || t.Failed()
			})
			if got != want {
				t.Errorf("with the prefix:\n%s\nwithout:\n%s", got, want)
			}
		})
	}
}

// TestOwnFailure: what a restart does not mend is not restarted.
func TestOwnFailure(t *testing.T) {
	k := newKMS(t, booted, "own")
	k.service(t, "own", "Restart=always\nRestartPreventExitStatus=125\nRestartSec=100ms\nExecStart="+
		strings.Replace(k.prefix(t, ""), "exec", "exec -e B=kms://missing", 1)+"/usr/bin/app\n")
	k.gets(t, "own", "ActiveState=failed", "ExecMainStatus=125", "NRestarts=0")
}

// TestSocketActivation: 20 restarts on rotation, and every connection is answered.
func TestSocketActivation(t *testing.T) {
	k := newKMS(t, booted, "sockets")
	k.unit(t, "served.socket", "[Socket]\nListenStream=127.0.0.1:8081\nListenStream=/run/served\nFileDescriptorName=web\n")
	k.unit(t, "served.service", "[Service]\n"+key+"ExecStart="+k.prefix(t, "on_change: {min_interval: 0s, max_per_hour: 0}\n")+"/usr/bin/app -show LISTEN_FDS,LISTEN_FDNAMES\n")
	k.do(t, "systemctl", "start", "served.socket")
	var ends []func() string
	for _, server := range []string{"tcp!127.0.0.1:8081", "unix!/run/served"} {
		client := exec.Command("nsenter", "-a", "-t", k.leader, "/usr/bin/app", "-ask", server, "-rate", "50")
		stdin, err := client.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stdout strings.Builder
		client.Stdout = &stdout
		if err := client.Start(); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, func() string {
			_ = stdin.Close()
			if err := client.Wait(); err != nil {
				t.Error(err)
			}
			return stdout.String()
		})
	}
	k.starts(t, "served", "0")
	for n := 1; n <= 20; n++ {
		k.rotate(t, strconv.Itoa(n))
		k.starts(t, "served", strconv.Itoa(n))
	}
	for _, end := range ends {
		said := end()
		t.Log(said)
		var answered, failed int
		if _, err := fmt.Sscanf(said, "answered %d, failed %d", &answered, &failed); err != nil || failed > 0 || answered < 20 {
			t.Errorf("got %q, want no failure", said)
		}
	}
	k.gets(t, "served", "ActiveState=active", "NRestarts=0")
	k.says(t, "served", "LISTEN_FDS=2")
	k.says(t, "served", "LISTEN_FDNAMES=web:web")
}
