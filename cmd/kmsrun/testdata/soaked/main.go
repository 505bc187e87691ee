// Soaked says in the file SAID what it sees of two secrets, and whether what it sees
// belongs together: A is secret a in its environment, and FILES has a1 and a2 of the same
// secret, and b of the other. It can't live with a value that begins with bad.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	signal.Ignore(syscall.SIGHUP)
	said, err := os.OpenFile(os.Getenv("SAID"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	a := os.Getenv("A")
	_, _ = fmt.Fprintln(said, "start", os.Getpid(), a)
	if strings.HasPrefix(a, "bad") {
		os.Exit(7)
	}
	last := ""
	for ; ; time.Sleep(5 * time.Millisecond) {
		a1, a2, b, err := read(filepath.Join(os.Getenv("FILES"), "..data"))
		if err != nil {
			_, _ = fmt.Fprintln(said, "MIXED", err)
			os.Exit(1)
		}
		// Files may be newer than the environment, until the restart; but nothing is newer
		// than what a program was started with that goes back from a bad value.
		if a1 != a2 || number(a1) < number(a) || last == "" && strings.HasPrefix(a1, "bad") {
			_, _ = fmt.Fprintln(said, "MIXED", a, a1, a2)
		}
		if now := fmt.Sprintln("see", a, a1, b); now != last {
			_, _ = fmt.Fprint(said, now)
			last = now
		}
	}
}

// read opens the directory once, and so reads one generation.
func read(dir string) (a1, a2, b string, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return
	}
	defer root.Close()
	var all [3]string
	for i, name := range []string{"a1", "a2", "b"} {
		text, err := root.ReadFile(name)
		if err != nil {
			return "", "", "", err
		}
		all[i] = string(text)
	}
	return all[0], all[1], all[2], nil
}

func number(value string) int {
	n, _ := strconv.Atoi(value[strings.LastIndexByte(value, '-')+1:])
	return n
}
