//go:build linux

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTerminalDatabase: psql asks for a password on the terminal, is interrupted by ^C
// without ending, stops and goes on.
func TestTerminalDatabase(t *testing.T) {
	t.Parallel()
	db := startDatabase(t)
	s := newScreen(t)
	s.types("$K " + filepath.Join(db.bin, "psql") + " -X -q -P pager=off -h 127.0.0.1 -p " + db.port + " -U admin postgres")
	s.await("the question", func(screen string) bool { return strings.Contains(screen, "Password for user admin:") })
	s.types(adminPassword)
	s.shows("postgres=#")
	s.types(`select 6*7 as answer \g (format=unaligned tuples_only=on)`)
	s.shows("42\n")
	s.types(`select pg_sleep(1000) \g`)
	s.await("the query", func(string) bool {
		return db.query("admin", adminPassword, "select 1/count(*) from pg_stat_activity where query like 'select pg_sleep%'") == nil
	})
	s.keys("C-c")
	s.await("one cancellation", func(screen string) bool { return strings.Count(screen, "canceling statement due to user request") == 1 })
	s.keys("C-z")
	s.shows("[1]+  Stopped")
	s.types("fg")
	s.await("psql", func(string) bool { return s.foreground() == "psql" })
	s.types(`select 'it goes ' || 'on' \g (format=unaligned tuples_only=on)`)
	s.shows("it goes on")
	s.types(`\q`)
	s.await("the shell", func(string) bool { return s.foreground() == "bash" })
	s.status(0)
	if screen := s.tmux("capture-pane", "-p", "-S", "-"); strings.Contains(screen, adminPassword) {
		t.Errorf("the password was echoed:\n%s", screen)
	}
}

// TestTerminalRestart: the program that a rotation brings has the terminal, as the one
// before it had, and the shell has it in the end.
func TestTerminalRestart(t *testing.T) {
	t.Parallel()
	service, s := newService(t), newScreen(t)
	service.put(t, "a", "v1", "one")
	s.types(strings.Join(service.environ()[1:], " ") + " " + binary(t) + " exec --log-level error --interval 100ms --on-env-change restart -e A=kms://a -- " +
		`sh -c 'echo "start $A"; while read x; do echo "got $x $A"; done; echo "end $A"'`)
	s.shows("start one")
	s.types("hello")
	s.shows("got hello one")
	service.put(t, "a", "v2", "two")
	s.shows("start two")
	s.types("again")
	s.shows("got again two")
	s.keys("C-d")
	s.shows("end two")
	s.status(0)
}

// TestTerminalFetch: before there is a program, ^Z stops us, fg resumes, and ^C ends us; be
// it that a script runs us.
func TestTerminalFetch(t *testing.T) {
	t.Parallel()
	command := "env ALIBABA_CLOUD_ACCESS_KEY_ID=x ALIBABA_CLOUD_ACCESS_KEY_SECRET=x " + binary(t) + " exec --log-level error --endpoint http://127.0.0.1:1 -e A=kms://a -- true"
	for _, command := range []string{command, `sh -c "` + command + `; exit \$?"`} {
		s := newScreen(t)
		s.types(command)
		name := "kmsrun"
		if strings.HasPrefix(command, "sh") {
			name = "sh"
		}
		s.await(name, func(string) bool { return s.foreground() == name && s.child("kmsrun") != "" })
		s.keys("C-z")
		s.shows("[1]+  Stopped")
		s.await("the stop", func(string) bool { return strings.HasPrefix(s.child("kmsrun"), "T") })
		s.types("fg")
		s.await("the resumption", func(string) bool { return strings.HasPrefix(s.child("kmsrun"), "S") })
		s.keys("C-c")
		s.await("the shell", func(string) bool { return s.foreground() == "bash" })
		s.status(130)
	}
}

// child is the state of the process of that name on the screen's terminal; empty for none.
func (s *screen) child(name string) string {
	terminal := strings.TrimSpace(s.tmux("display-message", "-p", "#{pane_tty}"))
	state, _ := exec.Command("ps", "-t", strings.TrimPrefix(terminal, "/dev/"), "-o", "stat=,comm=").Output() // fails where there is none
	for line := range strings.Lines(string(state)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[1] == name {
			return fields[0]
		}
	}
	return ""
}
