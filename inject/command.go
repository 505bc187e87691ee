package inject

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// StartError is a program that could not be started, with the exit status that a
// shell would give: 127 not found, 126 found but not executable.
type StartError struct {
	Status int
	Name   string
	Err    error
}

func (e *StartError) Error() string { return fmt.Sprintf("starting %q: %s", e.Name, e.Err) }
func (e *StartError) Unwrap() error { return e.Err }

const (
	statusNotExecutable = 126
	statusNotFound      = 127
)

var errNotInPath = errors.New("command not found in PATH")

// startError sorts a failure to find or execute a program.
func startError(name string, err error) *StartError {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	if errors.Is(err, unix.ENOEXEC) {
		err = fmt.Errorf("%w: a script needs a #! line", err)
	}
	status := statusNotExecutable
	if errors.Is(err, errNotInPath) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		status = statusNotFound
	}
	return &StartError{Status: status, Name: name, Err: err}
}

// findCommand finds a program as execvp does, in the PATH of the environment that
// it will run with: a name with a slash is a path. What is relative is so to dir, in
// which the program will begin, if that is not empty. exec.LookPath won't do: it takes
// a directory or a file that is not executable for one that is not there.
func findCommand(name, dir string, environ []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, checkExecutable(within(dir, name))
	}
	if name == "" {
		return "", errNotInPath
	}
	found := fs.ErrNotExist
	for _, part := range filepath.SplitList(searchPath(environ)) {
		if part == "" {
			part = "."
		}
		path := part + "/" + name // not Join: a clean relative path would lose its slash
		err := checkExecutable(within(dir, path))
		if err == nil {
			return path, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
			found = err
		}
	}
	if errors.Is(found, fs.ErrNotExist) {
		return "", errNotInPath
	}
	return "", found
}

func within(dir, path string) string {
	if dir == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func checkExecutable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return unix.EISDIR
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS); err != nil {
		return err
	}
	return nil
}

// searchPath is PATH, or without one what execvp searches then.
func searchPath(environ []string) string {
	for _, variable := range environ {
		if value, ok := strings.CutPrefix(variable, "PATH="); ok {
			return value
		}
	}
	return "/bin:/usr/bin"
}
