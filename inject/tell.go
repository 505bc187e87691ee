package inject

import (
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
)

// action is what a change asks for; of several, the greatest is done.
type action int

const (
	actNone action = iota
	actTouch
	actSignal
	actExec
	actHTTP // as great as actExec
	actRestart
	actExit
)

func (a action) String() string {
	return map[action]string{
		actNone: "none", actTouch: "touch", actSignal: "signal", actExec: "exec", actHTTP: "http", actRestart: "restart", actExit: "exit",
	}[a]
}

// rank orders actions.
func (a action) rank() action {
	if a == actHTTP {
		return actExec
	}
	return a
}

func kindOf(a config.FileAction) action {
	switch {
	case a.Restart:
		return actRestart
	case a.HTTP != "":
		return actHTTP
	case len(a.Exec) > 0:
		return actExec
	case a.Signal != 0:
		return actSignal
	case a.Touch != "":
		return actTouch
	default:
		return actNone
	}
}

// actionFor decides what a change does. With the greatest action come all that are as
// great, and have other recipients.
func actionFor(change render.Change, c config.Config) (act action, told []config.FileAction) {
	if len(change.Env) > 0 {
		act = map[string]action{"restart": actRestart, "exit": actExit}[c.OnChange.Env]
	}
	for _, file := range change.Files {
		a := c.ActionOf(file)
		kind := kindOf(a)
		switch {
		case kind.rank() < act.rank() || kind == actNone:
			continue
		case kind.rank() > act.rank():
			act, told = kind, nil
		}
		if !slices.ContainsFunc(told, func(b config.FileAction) bool { return reflect.DeepEqual(a, b) }) {
			told = append(told, a)
		}
	}
	return act, told
}

// tell lets the program, or whoever else is declared, know of a published change.
func (l *loop) tell(change render.Change, changed []secret.ID) {
	act, told := actionFor(change, l.Config)
	l.advise(change, act)
	if l.leaving || l.stop.aim == stopToExit {
		return // the program is on its way out
	}
	if since, _ := actionFor(l.generation.Since(l.given), l.Config); l.stop.phase == waiting && since < actRestart {
		l.Log.Info("secrets are again what the program was started with; leaving it running")
		l.stop = stopping{}
		if l.settling.overdue {
			l.settling.late = time.After(0)
		}
	}
	l.view.action.Store(&metrics.Action{Action: act.String(), At: time.Now()})
	switch act {
	case actRestart:
		l.stopTo(stopToRestart, change)
	case actExit:
		l.stopTo(stopToExit, change)
	case actNone:
	case actTouch, actSignal, actExec, actHTTP:
		l.tellEach(told, change, changed)
	}
	l.proveUnlessTested()
}

func (l *loop) tellEach(told []config.FileAction, change render.Change, changed []secret.ID) {
	for _, a := range told {
		switch {
		case !a.ToProgram():
			l.send(a, l.news(change, changed))
		case !l.stop.begun(): // else the restart tells it
			s := syscall.Signal(a.Signal)
			l.Log.Info("files changed; signalling the program", "files", change.Files, "signal", signalName(s))
			l.service.reloadBegins()
			l.signal(s, "change")
			if l.stop.aim != stopToRestart { // else it is watched after that
				l.beginSettling()
			}
			if !l.settling.on || !l.Config.Health.Checked() {
				l.service.reloadEnds()
			}
		}
	}
}

// advise says, once, what a change without consequence means.
func (l *loop) advise(change render.Change, act action) {
	if len(change.Env) > 0 && l.Config.OnChange.Env == "none" && !l.told.env {
		l.told.env = true
		l.Log.Warn("variables changed, but a running program can't be given new ones; "+
			"on_change.env: restart would restart it", "variables", change.Env)
	}
	untold := func(file string) bool { return kindOf(l.Config.ActionOf(file)) == actNone }
	if act == actNone && slices.ContainsFunc(change.Files, untold) && !l.told.files {
		l.told.files = true
		how := "a signal, or restart"
		if l.sidecar() {
			how = "{signal, process}, {signal, pid_file}, exec, http or touch"
		}
		l.Log.Info("files changed; a program that does not watch them can be told with on_change.files", "one_of", how, "files", change.Files)
	}
}
