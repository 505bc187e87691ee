package inject

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/asfound"
	"github.com/kmsrun/kmsrun/internal/proc"
)

// Status is how a program ended.
type Status = proc.Status

// program is how the program and our commands beside it are started, the same at
// every start.
type program struct {
	argv     []string
	dir      string // empty: ours
	who      identity
	signals  asfound.State
	terminal proc.Terminal
}

func newProgram(argv []string, c config.Child) (program, error) {
	who, err := identityOf(c.User, c.Group)
	if err != nil {
		return program{}, err
	}
	if c.Chdir != "" {
		if info, err := os.Stat(c.Chdir); err != nil || !info.IsDir() {
			return program{}, fmt.Errorf("child.chdir: %q is not a directory that is there", c.Chdir)
		}
	}
	return program{argv: argv, dir: c.Chdir, who: who, signals: asfound.Here()}, nil
}

// spec is what the table starts for argv with this environment. The error is a
// *StartError.
func (p program) spec(argv, environ []string) (proc.Spec, error) {
	path, err := findCommand(argv[0], p.dir, environ)
	if err != nil {
		return proc.Spec{}, startError(argv[0], err)
	}
	return proc.Spec{
		Path: path, Argv: argv, Environ: environ, Dir: p.dir, PIDs: ownPIDs(environ),
		Credential: p.who.credential, Signals: p.signals,
	}, nil
}

// start starts the program itself, with sockets as descriptors 3, 4 … The error is a
// *StartError.
func (p program) start(table *proc.Table, environ []string, sockets []int, inherit ...*os.File) (*proc.Process, error) {
	spec, err := p.spec(p.argv, environ)
	if err != nil {
		return nil, err
	}
	spec.Group, spec.Inherit, spec.Sockets = p.terminal.GroupHere(), inherit, sockets
	child, err := table.Start(spec)
	if err != nil {
		return nil, startError(p.argv[0], p.who.explain(err))
	}
	return child, nil
}

// become replaces this process by the program. It returns only on failure, with a
// *StartError.
func (p program) become(table *proc.Table, environ []string, sockets []int) error {
	path, err := findCommand(p.argv[0], p.dir, environ)
	if err == nil && p.dir != "" {
		err = os.Chdir(p.dir)
	}
	if err == nil {
		err = p.who.explain(p.who.assume())
	}
	if err == nil {
		table.Soften()
		if len(sockets) > 0 {
			err = asfound.Stage{Signals: p.signals, PIDs: ownPIDs(environ), Sockets: sockets}.Become(path, p.argv, environ)
		} else {
			err = p.signals.Exec(path, p.argv, environ)
		}
	}
	return startError(p.argv[0], err)
}

// ownPIDs are the variables that tell a process whether something is meant for it by
// its id, and that say ours: what is meant for us is meant for the program.
func ownPIDs(environ []string) []string {
	var names []string
	for _, name := range []string{"LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID"} {
		for _, variable := range environ {
			if variable == name+"="+strconv.Itoa(os.Getpid()) {
				names = append(names, name)
			}
		}
	}
	return names
}

// with is an environment with one variable more, or another value of it.
func with(environ []string, name, value string) []string {
	return append(without(environ, name), name+"="+value)
}

// without is an environment less some variables.
func without(environ []string, names ...string) []string {
	all := []string{}
	for _, variable := range environ {
		if name, _, _ := strings.Cut(variable, "="); !slices.Contains(names, name) {
			all = append(all, variable)
		}
	}
	return all
}
