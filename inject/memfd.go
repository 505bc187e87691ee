package inject

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/render"
)

// memoryFiles are the sealed files in memory that the program inherits, by the
// variable that holds the path of each. They are on no filesystem, and a program
// keeps the one that it was started with: another content takes a restart.
type memoryFiles map[string]*os.File

// firstMemoryFile is where their descriptors begin: above those that programs and
// supervisors number by hand. A number that we inherited is taken already, and so
// never given to one of ours.
const firstMemoryFile = 100

// set makes the files anew. A variable keeps its number from start to start.
func (m memoryFiles) set(values map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		file, err := sealedFile(values[name], m[name])
		if err != nil {
			return fmt.Errorf("env %s: making a file in memory: %w", name, err)
		}
		m[name] = file
	}
	for name, file := range m {
		if _, declared := values[name]; !declared {
			_ = file.Close()
			delete(m, name)
		}
	}
	return nil
}

// clearOf refuses numbers that this many listening sockets take, which a low limit of
// open files brings about.
func (m memoryFiles) clearOf(sockets int) error {
	for name, file := range m {
		if int(file.Fd()) < 3+sockets {
			return fmt.Errorf("env %s: the limit of open files is too low for as=fd beside %d listening sockets", name, sockets)
		}
	}
	return nil
}

// all are the files themselves.
func (m memoryFiles) all() []*os.File { return slices.Collect(maps.Values(m)) }

// environ is the variables with their paths.
func (m memoryFiles) environ() []string {
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		environ = append(environ, fmt.Sprintf("%s=/proc/self/fd/%d", name, m[name].Fd()))
	}
	return environ
}

// passing lets the files through execve while start runs, and to no other program.
func (m memoryFiles) passing(start func() error) error {
	for _, file := range m {
		if _, err := unix.FcntlInt(file.Fd(), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("passing on a file in memory: %w", err)
		}
	}
	defer func() {
		for _, file := range m {
			_, _ = unix.FcntlInt(file.Fd(), unix.F_SETFD, unix.FD_CLOEXEC)
		}
	}()
	return start()
}

// environAtMost is an environment at least as long as the program's will be, for a
// check of its size: the numbers of its files in memory are not known yet.
func environAtMost(g render.Generation, base []string) []string {
	environ := g.Environ(base)
	for name := range g.FDs() {
		environ = append(environ, name+"=/proc/self/fd/"+strconv.Itoa(1<<31-1))
	}
	return environ
}
