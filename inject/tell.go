package inject

import (
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/render"
)

// action is what a change asks for; of several, the greatest is done.
type action int

const (
	actNone action = iota
	actSignal
	actRestart
	actExit
)

func (a action) String() string {
	return map[action]string{actNone: "none", actSignal: "signal", actRestart: "restart", actExit: "exit"}[a]
}

// actionFor decides what a change does.
func actionFor(change render.Change, on config.OnChange) action {
	act := actNone
	if len(change.Env) > 0 {
		act = map[string]action{"restart": actRestart, "exit": actExit}[on.Env]
	}
	if len(change.Files) > 0 {
		switch {
		case on.Files.Restart:
			act = max(act, actRestart)
		case on.Files.Signal != 0:
			act = max(act, actSignal)
		}
	}
	return act
}

// tell lets the program know of a published change.
func (l *loop) tell(change render.Change) {
	on := l.Config.OnChange
	l.advise(change, on)
	if l.leaving || l.stop.aim == stopToExit {
		return // the program is on its way out
	}
	if l.stop.phase == waiting && actionFor(l.generation.Since(l.given), on) < actRestart {
		l.Log.Info("secrets are again what the program was started with; leaving it running")
		l.stop = stopping{}
	}
	act := actionFor(change, on)
	l.view.action.Store(&metrics.Action{Action: act.String(), At: time.Now()})
	switch act {
	case actSignal:
		if !l.stop.begun() { // else the restart tells it
			s := syscall.Signal(on.Files.Signal)
			l.Log.Info("files changed; signalling the program", "files", change.Files, "signal", signalName(s))
			l.signal(s, "change")
		}
	case actRestart:
		l.stopTo(stopToRestart, change)
	case actExit:
		l.stopTo(stopToExit, change)
	case actNone:
	}
}

// advise says, once, what a change without consequence means.
func (l *loop) advise(change render.Change, on config.OnChange) {
	if len(change.Env) > 0 && on.Env == "none" && !l.told.env {
		l.told.env = true
		l.Log.Warn("variables changed, but a running program can't be given new ones; "+
			"on_change.env: restart would restart it", "variables", change.Env)
	}
	if len(change.Files) > 0 && on.Files == (config.FileAction{}) && !l.told.files {
		l.told.files = true
		l.Log.Info("files changed; a program that does not watch them can be told with "+
			"on_change.files: a signal, or restart", "files", change.Files)
	}
}
