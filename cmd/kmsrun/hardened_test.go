//go:build linux

package main

import (
	"fmt"
	"os"
	"regexp"
	"testing"
)

var coreLimit = regexp.MustCompile(`(?m)^Max core file size +(\S+)`)

// TestHardened: no kmsrun that has secrets in memory writes them to a core file, be it
// one that starts no program. (What goes with it, that nobody of the same user may read
// its memory, is proc.TestHardened's.)
func TestHardened(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.stop() // render waits for it
	for name, args := range map[string][]string{
		"render":   {"render", "--dir", shm(t), "-f", "x=kms://x"},
		"emulator": {"emulator"},
		"sidecar":  {"sidecar", "--dir", shm(t), "-f", "x=kms://x"},
	} {
		r := prepareStart(t, s.environ(), args...)
		r.Path, r.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -Sc "$(ulimit -Hc)"; [ "$(ulimit -Sc)" != 0 ] || exit 99; echo begins; exec "$@"`, "sh"}, r.Args...)
		r.begin()
		r.awaitOutput("begins\n")
		r.await(name+"'s limit of core files to be 0", func() bool {
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", r.Process.Pid))
			m := coreLimit.FindSubmatch(limits)
			return err == nil && m != nil && string(m[1]) == "0"
		})
	}
}
