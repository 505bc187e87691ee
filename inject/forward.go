package inject

import (
	"os"
	"syscall"

	"github.com/kmsrun/kmsrun/internal/proc"
)

// take deals with a signal, and with what came with it.
func (l *loop) take(s os.Signal) {
	for _, s := range together(s, l.Signals, l.paused) {
		if number, ok := s.(syscall.Signal); ok {
			l.forward(number)
		}
	}
}

// forward passes a signal on. A planned restart does not outlive a request to end.
func (l *loop) forward(s syscall.Signal) {
	if l.sidecar() {
		l.heed(s)
		return
	}
	if s == syscall.SIGTERM || s == syscall.SIGINT || s == syscall.SIGQUIT {
		l.asked = true
	}
	if !forwarded(s) {
		return
	}
	if l.asksToEnd(s) {
		l.leave()
	}
	switch {
	case l.sentToAll(s):
	case l.stop.phase == clearing && !l.leaving:
		l.kept = append(l.kept, s)
	case s == syscall.SIGHUP && !l.service.spoke: // systemctl reload may wait for an answer
		l.service.reloadBegins()
		l.signal(s, "forwarded")
		l.service.reloadEnds()
	case s == syscall.SIGCONT && l.paused:
		l.resume()
	case stopsJob(s) && l.paused && l.child.Paused(): // it came before the SIGCONT that continued us was dealt with
		l.follow(s)
	default:
		l.signal(s, "forwarded")
	}
}

// asksToEnd tells whether a signal means that the program shall end, and not be
// started again. On a terminal ^C means it only if we are stopping the program
// anyway: many an interactive program lives on.
func (l *loop) asksToEnd(s syscall.Signal) bool {
	if l.program.signals.Ignored.Has(int(s)) {
		return false // nor would the program heed it
	}
	switch s {
	case syscall.SIGTERM, syscall.SIGQUIT, syscall.Signal(l.Config.Child.StopSignal):
		return true
	case syscall.SIGINT:
		return !l.Interactive || l.stop.begun()
	default:
		return false
	}
}

func (l *loop) signal(s syscall.Signal, reason string) {
	l.signalled(l.child.Signal(s), s, reason)
}

func (l *loop) signalGroup(s syscall.Signal, reason string) {
	l.signalled(l.child.SignalGroup(s), s, reason)
}

func (l *loop) signalled(err error, s syscall.Signal, reason string) {
	if err != nil {
		l.Log.Error("the program can't be signalled", "signal", signalName(s), "pid", l.child.PID(), "err", err)
		return
	}
	l.Metrics.ChildSignalled(reason)
	l.Log.Debug("signal sent to the program", "signal", signalName(s), "pid", l.child.PID(), "reason", reason)
}

// follow stops us too when the program was stopped as a job: a shell waits for us, not
// for the program. SIGSTOP is none of a job's signals, but on a terminal a shell must
// hear of it.
func (l *loop) follow(s syscall.Signal) {
	if l.paused { // and continued since: how that came about counts more than what stopped us
		for _, s := range counting(arrived(l.Signals), true) {
			l.take(s)
		}
	}
	terminal := l.program.terminal
	followed := stopsJob(s) || s == syscall.SIGSTOP && terminal.Present()
	switch {
	case !followed, !l.child.Paused(): // or continued meanwhile: nobody would continue us
		return
	case terminal.Foreground() && (s == syscall.SIGTTIN || s == syscall.SIGTTOU) && l.child.OwnGroup():
		l.resume() // it wanted the terminal, and the terminal is ours to give
		return
	}
	l.Log.Debug("the program was stopped", "signal", signalName(s), "pid", l.child.PID())
	terminal.TakeBack(l.child)
	if proc.Orphaned() {
		l.resume() // no shell would; without us, the program could not have been stopped
		return
	}
	stopped := l.paused
	l.paused = true
	came := stopUs(s, l.Signals, stopped, func() bool {
		l.paused = l.child.Paused()
		return l.paused
	})
	if !l.paused {
		terminal.Give(l.child)
	}
	for _, s := range came { // what continues us is SIGCONT, which comes as every signal does
		l.take(s)
	}
}

// resume continues the program and all of its group, with the terminal if that is ours.
func (l *loop) resume() {
	l.paused = false
	l.program.terminal.Give(l.child)
	l.signalGroup(syscall.SIGCONT, "forwarded")
}
