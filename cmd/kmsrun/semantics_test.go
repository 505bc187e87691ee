package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// semantics is the checklist of what a supervisor must get right, in its order, and the
// tests that show each line. Those that say how we are started run as PID 1 of a namespace
// and of a container, under a shell and under nohup; see places.
var semantics = []struct{ line, tests string }{
	{"1 SIGCHLD and SIGURG are never forwarded", "kmsrun.EverySignal inject.Forwarded"},
	{"2 all others are, real-time signals and those of faults too", "kmsrun.EverySignal kmsrun.FaultSignals"},
	{"3 what can't be forwarded is documented, and no program outlives a kmsrun that signal 34 killed", "kmsrun.Killed"},
	{"4 a closed or stalled stderr ends nothing", "kmsrun.ClosedStderr kmsrun.StalledStderr"},
	{"5 stops and resumes go through, and the terminal's size", "kmsrun.Stops inject.Together inject.StopUs proc.StopSelf proc.StoppedStage kmsrun.TerminalSignals kmsrun.TerminalBackground kmsrun.TerminalLeader"},
	{"6 ^C arrives once", "kmsrun.TerminalSignals kmsrun.TerminalPipeline kmsrun.TerminalScript kmsrun.TerminalParentDies inject.Sharing"},
	{"7 none is lost before the program runs, and TERM ends a fetch", "kmsrun.EverySignal inject.SignalsBeforeTheStart inject.TermBeforeTheStart kmsrun.TermDuringFetch"},
	{"8 the stop signal can be chosen, and all others stay the program's", "inject.StopSignalMeansLeaving kmsrun.HandledStopSignal"},
	{"9 ignored and blocked signals are as found", "kmsrun.Unseen kmsrun.Nohup kmsrun.Inexact"},
	{"10 SIGCHLD ignored on entry loses no status", "kmsrun.InheritsIgnoredChild kmsrun.Unseen"},
	{"11 exit statuses are a shell's, or the same signal under systemd", "kmsrun.ExitStatus kmsrun.EndsTheSame kmsrun.Reraise inject.Status"},
	{"12 127 is not found, 126 not executable", "kmsrun.EndsTheSame inject.FindCommand proc.Failures"},
	{"13 a planned restart is no exit", "inject.RestartNeverShows inject.KillAfterStopTimeout"},
	{"14 a program that ends amid a restart ends once", "inject.EndsDuringPreStop inject.TermDuringRestart inject.EndsByItself"},
	{"15 orphans are reaped", "kmsrun.ReapsOrphans proc.Orphans"},
	{"16 one owner of wait loses no status", "proc.NoStatusIsLost imports.OneOwnerOfWait"},
	{"17 a late signal hits nobody", "proc.Groups"},
	{"18 what is left of the group is stopped, within bounds", "kmsrun.Leftovers inject.LeftoversStop inject.RestartStopsTheGroup inject.EndsPromptlyAmongLeftovers"},
	{"19 a killed kmsrun leaves no program", "kmsrun.Killed"},
	{"20 the terminal's foreground is given, and taken back", "kmsrun.TerminalShell kmsrun.TerminalEditor kmsrun.TerminalDatabase kmsrun.TerminalBackground"},
	{"21 stdin is the program's", "kmsrun.TerminalBackground kmsrun.TerminalPipeline kmsrun.Unseen"},
	{"22 inherited sockets are the program's", "kmsrun.ListenPID proc.Inherit kmsrun.Unseen"},
	{"23 the limit of open files is as found", "kmsrun.Unseen kmsrun.UnseenInContainer imports.OneOwnerOfWait"},
	{"24 umask, niceness, OOM score, cgroup, capabilities, seccomp, directory, arguments are as found", "kmsrun.Unseen kmsrun.UnseenInContainer"},
	{"25 we are not dumpable and write no core, the program may", "proc.Hardened kmsrun.Unseen"},
	{"26 an environment that is too long stops nothing", "inject.TooLarge inject.Fits inject.Environ"},
	{"27 files flip together, in memory, and only if they differ", "render.KilledAtEveryStep render.PublishModes render.OpenDirRefusesADisk inject.NoChangeWritesNothing"},
	{"28 systemd is told", "inject.ReadyIsThePrograms inject.WaitForKMS inject.RestartIsNoStop inject.Reloading inject.RollbackWhileReloading inject.Watchdog inject.SidecarIsReady"},
	{"29 restarts are paced, and a value that is back is none", "inject.Pace inject.MinInterval inject.MaxPerHour watch.ChangeUndone"},
	{"30 TERM ends every wait", "kmsrun.TermDuringFetch inject.EndsPromptlyInDebounce inject.EndsPromptlyInSplay inject.VerifyThatHangs inject.PreStopThatHangs inject.TermDuringRestart"},
}

// TestSemantics: each line has its tests, and make stress repeats them.
func TestSemantics(t *testing.T) {
	t.Parallel()
	places := map[string]string{
		"kmsrun": ".", "inject": "../../inject", "proc": "../../internal/proc", "render": "../../render", "watch": "../../watch", "imports": "../..",
	}
	there := map[string]bool{}
	for name, dir := range places {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
					there[name+"."+strings.TrimPrefix(f.Name.Name, "Test")] = true
				}
			}
		}
	}
	script, err := os.ReadFile("../../test/stress.sh")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`processes='(.*)'`).FindSubmatch(script)
	if pattern == nil {
		t.Fatal("stress.sh has no pattern of tests")
	}
	repeated := regexp.MustCompile(string(pattern[1]))
	for _, s := range semantics {
		for test := range strings.FieldsSeq(s.tests) {
			name, ours := strings.CutPrefix(test, "kmsrun.")
			if !there[test] {
				t.Errorf("%s: there is no test %s", s.line, test)
			} else if ours && !repeated.MatchString("Test"+name) {
				t.Errorf("%s: make stress does not repeat %s", s.line, test)
			}
		}
	}
}
