// App is a service of the tests, as one would be written for systemd: it serves the
// sockets that it is given, notifies, answers the watchdog, reloads. On SIGTERM it stops
// accepting, and finishes what it has accepted. It says on stdout what happens.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

var (
	notifies   = flag.Bool("notify", false, "say READY=1, and RELOADING=1 at SIGHUP")
	readyAfter = flag.Duration("ready-after", 0, "until it does")
	status     = flag.String("status", "", "STATUS to show with it")
	watchdog   = flag.Bool("watchdog", false, "answer the watchdog")
	hangAfter  = flag.Duration("hang-after", 0, "after which it does no more; 0: never")
	endAfter   = flag.Duration("end-after", 0, "after which it ends as -exit or -die says; 0: never")
	exit       = flag.Int("exit", 0, "exit status then")
	die        = flag.Int("die", 0, "signal to die of then")
	ignoreTerm = flag.Bool("ignore-term", false, "take no notice of SIGTERM")
	asks       = flag.String("ask", "", "be a client instead, of this `NETWORK!ADDRESS`, until stdin ends")
	rate       = flag.Int("rate", 100, "questions per second")
	show       = flag.String("show", "", "variables to say the values of, with commas")
)

func main() {
	flag.Parse()
	if network, address, ok := strings.Cut(*asks, "!"); ok {
		ask(network, address, *rate)
		return
	}
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP)
	say("start A=%s pid=%d", os.Getenv("A"), os.Getpid())
	for _, name := range strings.FieldsFunc(*show, func(r rune) bool { return r == ',' }) {
		say("%s=%s", name, os.Getenv(name))
	}
	var open sync.WaitGroup
	listeners := sockets()
	for _, l := range listeners {
		open.Go(func() { serve(l, &open) })
	}
	time.Sleep(*readyAfter)
	if *notifies {
		tell("READY=1", "STATUS="+*status)
	}
	if *watchdog {
		go answer()
	}
	if *endAfter > 0 {
		time.AfterFunc(*endAfter, end)
	}
	for s := range signals {
		if s == syscall.SIGHUP {
			reload()
			continue
		}
		say("got %s", s)
		if *ignoreTerm {
			continue
		}
		break
	}
	for _, l := range listeners {
		_ = l.Close()
	}
	open.Wait()
	say("end")
	os.Exit(*exit)
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func end() {
	if *die != 0 {
		signal.Reset()
		_ = syscall.Kill(os.Getpid(), syscall.Signal(*die))
		select {}
	}
	os.Exit(*exit)
}

func reload() {
	say("reload")
	if !*notifies {
		return
	}
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
	tell("READY=1", "STATUS=reloaded")
}

func tell(lines ...string) {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		say("not told: %s", err)
		return
	}
	defer conn.Close()
	_, _ = conn.Write([]byte(strings.Join(lines, "\n")))
}

func answer() {
	usec, err := strconv.Atoi(os.Getenv("WATCHDOG_USEC"))
	if err != nil || os.Getenv("WATCHDOG_PID") != strconv.Itoa(os.Getpid()) {
		say("no watchdog of mine: %q %q", os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID"))
		return
	}
	began := time.Now()
	for *hangAfter == 0 || time.Since(began) < *hangAfter {
		tell("WATCHDOG=1")
		time.Sleep(time.Duration(usec) * time.Microsecond / 3)
	}
	say("hanging")
}

// sockets are those of LISTEN_FDS, if they are for this process.
func sockets() (all []net.Listener) {
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		n = 0
	}
	for i := range n {
		file := os.NewFile(uintptr(3+i), "socket")
		l, err := net.FileListener(file)
		if err != nil {
			say("no listener: %s", err)
			os.Exit(1)
		}
		_ = file.Close()
		all = append(all, l)
	}
	return all
}

func serve(l net.Listener, open *sync.WaitGroup) {
	if l, ok := l.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(false)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		open.Go(func() {
			defer conn.Close()
			if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				_, _ = fmt.Fprintf(conn, "%s %s", os.Getenv("A"), line)
			}
		})
	}
}
