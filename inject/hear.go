package inject

import (
	"strconv"
	"time"

	"github.com/kmsrun/kmsrun/internal/systemd"
)

// openRelay makes a place where the next start of the program speaks to systemd, and
// returns the environment with that.
func (l *loop) openRelay(environ []string) []string {
	s := &l.service
	if s.manager == nil {
		return environ
	}
	l.hearRest()
	var users []uint32
	if c := l.program.who.credential; c != nil {
		users = append(users, c.Uid)
	}
	relay, err := systemd.Listen(users...)
	if err != nil {
		l.Log.Error("the program can't be heard by systemd: no socket for it", "err", err)
		return without(environ, "NOTIFY_SOCKET")
	}
	s.relay = relay
	return with(environ, "NOTIFY_SOCKET", relay.Address())
}

// hearRest takes what a program that has ended had said before.
func (l *loop) hearRest() {
	relay := l.service.relay
	if relay == nil {
		return
	}
	l.service.relay = nil
	for _, m := range relay.Close() {
		l.hear(m)
	}
}

// ofStop are assignments that say how a service ends. A restart of ours is none.
var ofStop = []string{"STOPPING", "STATUS", "ERRNO", "BUSERROR", "VARLINKERROR", "EXIT_STATUS"}

// hear passes on what the program says, as if systemd had started it.
func (l *loop) hear(m systemd.Message) {
	s := &l.service
	s.note(m)
	// The main process is this one, and only it may be heard.
	m = m.Without("MAINPID", "MAINPIDFD", "MAINPIDFDID", "NOTIFYACCESS")
	switch {
	case l.restarting():
		m = m.Without(ofStop...)
	case m.Says("STOPPING=1") && l.settling.on && !l.leaving:
		s.said.stopping = true // it may yet be undone
		m = m.Without("STOPPING")
	case m.Says("STOPPING=1"):
		s.stopping = true
	}
	if _, found := m.Get("STATUS"); found {
		s.said.status, s.status = true, ""
	}
	if len(m.Lines) == 0 {
		m.Close()
		return
	}
	if m.Says("READY=1") {
		s.ready, s.reloading, s.look = true, false, nil
	}
	s.manager.Send(m)
	if m.Says("READY=1") {
		s.tellServed()
	}
}

// note takes in what concerns us of what the program says.
func (s *service) note(m systemd.Message) {
	s.spoke, s.said.something = true, true
	if text, found := m.Get("WATCHDOG_USEC"); found {
		s.watch(text)
	}
	if m.Says("WATCHDOG=1") {
		s.fed, s.said.watchdog = true, true
	}
	if text, found := m.Get("EXTEND_TIMEOUT_USEC"); found {
		usec, _ := strconv.ParseInt(text, 10, 64)
		if until := time.Now().Add(time.Duration(usec) * time.Microsecond); until.After(s.until) {
			s.until = until
		}
	}
	if m.Says("READY=1") {
		s.said.ready = true
	}
	if m.Says("RELOADING=1") {
		s.reloading = false // its own READY will end it
	}
	if m.Says("FDSTORE=1") {
		s.keep(m)
	}
	if m.Says("FDSTOREREMOVE=1") {
		s.forget(m)
	}
}

// restarting tells whether the program is being stopped to be started again.
func (l *loop) restarting() bool {
	return l.stop.begun() && l.stop.aim == stopToRestart && !l.leaving
}

// watchdogDue answers systemd's watchdog, unless that is the program's affair: once it
// has answered itself, until a restart of ours; and after that when it is ready again,
// or should be.
func (l *loop) watchdogDue() {
	s := &l.service
	programs := s.said.watchdog || s.fed && (s.said.ready || time.Now().After(s.until))
	if l.restarting() || !programs {
		s.tell("WATCHDOG=1")
	}
}
