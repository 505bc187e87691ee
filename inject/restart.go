package inject

import (
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/render"
)

// stopping is how far a stop of ours is, and what is left of the program's group when
// it has ended. Its zero value is a program that runs.
type stopping struct {
	phase   phase
	aim     aim
	planned <-chan time.Time // when to begin
	hook    *proc.Command    // child.pre_stop under way
	kill    <-chan time.Time // child.stop_timeout
	look    <-chan time.Time // for what is left of the group
	until   time.Time        // how long that may take
	forced  bool             // it got SIGKILL
	due     bool             // it would begin, but for a hold or a verification
}

// phase is the state of the program.
type phase int

const (
	running  phase = iota
	waiting        // runs, and is to be stopped
	hooking        // runs, and so does child.pre_stop
	halting        // got the stop signal
	clearing       // ended, with some of its group left
	ended
)

// aim is why we stop the program.
type aim int

const (
	notStopping aim = iota
	stopToRestart
	stopToExit
)

func (a aim) String() string {
	return map[aim]string{notStopping: "nothing", stopToRestart: "restart", stopToExit: "exit"}[a]
}

const (
	// leftoverGrace is how long what is left of a group has from SIGTERM to SIGKILL,
	// if child.stop_timeout is not shorter.
	leftoverGrace = 5 * time.Second
	// lastLook is how long it may take to die of SIGKILL.
	lastLook  = time.Second
	lookPause = 10 * time.Millisecond
)

// begun tells whether the stop is more than a plan.
func (s stopping) begun() bool { return s.phase > waiting }

func (s stopping) hookDone() <-chan proc.Result {
	if s.hook == nil {
		return nil
	}
	return s.hook.Done()
}

// childDone is nil where the program's end is known.
func (l *loop) childDone() <-chan struct{} {
	if l.stop.phase >= clearing {
		return nil
	}
	return l.child.Done()
}

// stopTo plans to stop the program, or raises the aim of a stop under way.
func (l *loop) stopTo(a aim, change render.Change) {
	raised := a > l.stop.aim
	l.stop.aim = max(l.stop.aim, a)
	if l.stop.begun() || l.stop.phase == waiting && !raised {
		return
	}
	now := time.Now()
	at, limited := now, false
	if a == stopToRestart {
		at, limited = l.pace.next(now, l.Config.OnChange)
	}
	if limited && !l.told.pace {
		l.told.pace = true
		l.Log.Warn("restarts are put off: on_change.max_per_hour is reached", "max_per_hour", l.Config.OnChange.MaxPerHour)
	}
	wait := at.Sub(now) + splayed(l.Config.OnChange)
	l.stop.phase = waiting
	if wait <= 0 {
		l.Log.Info("secrets changed; stopping the program", "then", a, "variables", change.Env, "files", change.Files)
		l.beginStop()
		return
	}
	l.Log.Info("secrets changed; the program will be stopped", "then", a, "in", wait.Round(time.Millisecond), "variables", change.Env, "files", change.Files)
	l.stop.planned = time.After(wait)
}

// beginStop begins a planned stop, if the program can be started again.
func (l *loop) beginStop() {
	l.stop.planned = nil
	if l.sidecar() {
		l.stop.phase = ended
		return
	}
	if l.child.Ended() {
		return // by itself, as run is about to hear
	}
	if l.stop.due = l.busy(); l.stop.due {
		return
	}
	if l.stop.aim == stopToRestart {
		if _, err := l.program.spec(l.Argv, l.environ(l.generation)); err != nil {
			l.Log.Error("the program could not be started again; leaving it running and trying again", "err", err, "in", publishAgain)
			l.stop.planned = time.After(publishAgain)
			return
		}
	}
	l.settling = l.settling.end() // whatever comes of it, it is our doing
	if len(l.Config.Child.PreStop) > 0 {
		l.stop.phase = hooking
		if l.startHook() {
			return
		}
	}
	l.halt()
}

// startHook runs child.pre_stop, in the program's environment and with its pid in
// MAINPID. What it writes goes where our own lines go.
func (l *loop) startHook() bool {
	spec, err := l.program.spec(l.Config.Child.PreStop, with(l.environ(l.given), "MAINPID", strconv.Itoa(l.child.PID())))
	if err == nil {
		spec.OutputToStderr = true
		l.stop.hook, err = l.Processes.Run(spec, l.Config.Child.StopTimeout, 0)
	}
	if err != nil {
		l.Log.Error("child.pre_stop can't be run; stopping the program without it", "err", err)
	}
	return err == nil
}

func (l *loop) hookEnded(r proc.Result) {
	l.stop.hook = nil
	if l.stop.phase != hooking {
		return // the program has ended meanwhile, or was asked to
	}
	switch {
	case r.TimedOut:
		l.Log.Warn("child.pre_stop took longer than child.stop_timeout; it was killed", "stop_timeout", l.Config.Child.StopTimeout)
	case r.Status.ExitCode() != 0:
		l.Log.Warn("child.pre_stop failed; stopping the program all the same", "status", r.Status.ExitCode())
	}
	l.halt()
}

// halt sends the stop signal.
func (l *loop) halt() {
	l.stop.phase = halting
	l.signal(syscall.Signal(l.Config.Child.StopSignal), l.stop.aim.String())
	if l.paused {
		l.resume() // what is stopped can't end
	}
	l.stop.kill = time.After(l.Config.Child.StopTimeout)
}

func (l *loop) killChild() {
	l.stop.kill = nil
	l.Log.Warn("the program did not stop in time; killing it", "pid", l.child.PID(), "stop_timeout", l.Config.Child.StopTimeout)
	l.signalGroup(syscall.SIGKILL, l.stop.aim.String())
}

// leave makes an end of every plan of ours: somebody asked the program to end, and it
// has been asked, or is about to be.
func (l *loop) leave() {
	l.leaving = true
	l.stop.planned, l.stop.due = nil, false
	l.settling = l.settling.end()
	switch l.stop.phase {
	case waiting:
		l.stop.phase = running
	case hooking:
		l.stop.hook.Kill()
		l.stop.phase = running
	case clearing:
		l.force()
	case running, halting, ended:
	}
}

// childEnded decides what the end of the program means.
func (l *loop) childEnded() {
	l.program.terminal.TakeBack(l.child)
	l.hearRest()
	if l.stop.hook != nil {
		l.stop.hook.Kill()
	}
	if !l.stop.begun() {
		superseded := l.stop.aim == stopToRestart
		l.stop.aim = notStopping // it ended by itself
		if l.startsAgain(superseded) {
			l.stop.aim = stopToRestart
		}
	}
	l.stop.kill, l.stop.planned = nil, nil
	if l.program.terminal.Present() && l.child.Status().Signal == syscall.SIGINT {
		l.leaving = true // ^C, which the terminal sent to the program alone
	}
	again := l.stop.aim == stopToRestart && !l.leaving
	if (again || l.clearsUp()) && l.child.GroupLeft() {
		grace := min(leftoverGrace, l.Config.Child.StopTimeout)
		l.Log.Info("the program has ended; stopping what is left of its process group", "pid", l.child.PID(), "grace", grace)
		l.stop.phase, l.stop.until = clearing, time.Now().Add(grace)
		l.signalGroup(syscall.SIGTERM, "leftovers")
		l.clear()
		return
	}
	l.stop.phase = ended
}

// clearsUp tells whether what a program that has ended leaves of its group is stopped:
// where we are init, it would be killed anyway, and has a chance to end well so.
func (l *loop) clearsUp() bool {
	switch l.Config.Child.Leftovers {
	case config.LeftoversStop:
		return true
	case config.LeftoversLeave:
		return false
	default:
		return os.Getpid() == 1
	}
}

// clear looks whether anything of the group is left, and ends it by force in the end.
func (l *loop) clear() {
	l.stop.look = nil
	late := time.Now().After(l.stop.until)
	switch {
	case !l.child.GroupLeft():
		l.stop.phase = ended
		return
	case late && l.stop.forced:
		l.Log.Warn("some of the program's process group does not even die of SIGKILL; going on", "pid", l.child.PID())
		l.stop.phase = ended
		return
	case late:
		l.force()
	}
	l.stop.look = time.After(lookPause)
}

func (l *loop) force() {
	if !l.stop.forced {
		l.stop.forced, l.stop.until = true, time.Now().Add(lastLook)
		l.signalGroup(syscall.SIGKILL, "leftovers")
	}
}

// restart starts the program again, with the newest generation, or the proven one if
// it can't be started with that.
func (l *loop) restart() error {
	l.pace = l.pace.with(time.Now(), l.Config.OnChange)
	if l.rollback && len(l.snapshot.Changed(l.proven.snapshot)) == 0 { // else something newer came meanwhile
		return l.start(startedByRollback)
	}
	err := l.start(startedByChange)
	if err != nil && l.undo(err.Error()) {
		return l.start(startedByRollback)
	}
	return err
}
