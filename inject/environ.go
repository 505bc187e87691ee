package inject

import (
	"slices"
	"strings"

	"github.com/kmsrun/kmsrun/config"
)

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
