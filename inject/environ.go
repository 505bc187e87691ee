package inject

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
)

// execveRoom is for what execve puts beside arguments and environment: the path of the
// program, and at a start by way of our own binary that and its settings once more. A
// path has at most 4 KiB.
const execveRoom = 2*4096 + 512

// fits tells whether execve will take the arguments and the environment together: a
// quarter of the stack's limit, at most 6 MiB, with a pointer for each string.
func fits(argv, environ []string) error {
	var stack unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_STACK, &stack); err != nil {
		return nil // execve will tell
	}
	limit := max(min(stack.Cur/4, 6<<20), 128<<10)
	size := uint64(execveRoom)
	for _, list := range [][]string{argv, environ} {
		for _, text := range list {
			size += uint64(len(text)) + 1 + 8
		}
	}
	if size > limit {
		return fmt.Errorf("the environment and arguments together would be longer than the system's limit of %d bytes; put secrets in files", limit)
	}
	return nil
}

// Environ is the environment that a program inherits through us: ours, less the
// KMSRUN_* variables, less those named in drop. It also returns the names of drop
// that were there.
func Environ(inherited, drop []string) (environ, dropped []string) {
	for _, variable := range inherited {
		name, _, _ := strings.Cut(variable, "=")
		switch {
		case strings.HasPrefix(name, config.TwinPrefix):
		case slices.Contains(drop, name):
			dropped = append(dropped, name)
		default:
			environ = append(environ, variable)
		}
	}
	return environ, dropped
}
