// App is the sample program of the demo: a server that says which versions of its
// secrets it serves. Each demo secret carries its version id as a key, so that
// nothing secret need be printed.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	say("started", versions())
	for s := range signals {
		if s != syscall.SIGHUP {
			say("told to stop, stopping", "")
			return
		}
		say("told to read its files again", versions())
	}
}

// versions is what this process has in hand: a variable can't change under it, a
// file can.
func versions() string {
	file, err := os.ReadFile(os.Getenv("TLS_VERSION_FILE"))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf(": demo/db %s (variable), demo/tls %s (file)", os.Getenv("DB_VERSION"), strings.TrimSpace(string(file)))
}

func say(what, versions string) {
	fmt.Printf("[pid %d] %s%s\n", os.Getpid(), what, versions)
}
