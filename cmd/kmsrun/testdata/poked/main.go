// Poked says when it was started, and when a signal came: the monotonic time of the
// machine, in nanoseconds, a line for each.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	signals := make(chan os.Signal, 100)
	signal.Notify(signals, syscall.SIGHUP)
	for {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			panic(err)
		}
		_, _ = fmt.Fprintln(os.Stdout, now.Nano())
		<-signals
	}
}
