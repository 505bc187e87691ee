package inject

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/systemd"
)

// service is what a run is to systemd, which docs/systemd.md tells of. Its fields belong
// to the goroutine of Run. Its zero value is a run that systemd does not ask about.
type service struct {
	manager  *systemd.Manager // nil: nobody wants to be told
	watchdog *time.Ticker     // half of the interval in which systemd wants to hear; nil: it does not
	listening

	extended   bool // systemd was asked to wait for KMS
	ready      bool // it was told that the service is
	reloading  bool // it was told that the service reloads
	stopping   bool // it was told that the service stops
	spoke      bool // the program ever said anything
	fed        bool // the program ever answered the watchdog
	generation int
	status     string // the last of ours

	relay *systemd.Relay // where the program speaks; one for each start of it
	said  said
	until time.Time // how long it may take to say that it is ready, after a restart of ours

	look   <-chan time.Time // whether a program that says nothing is ready
	looked <-chan error
}

// said is what the program has said since its start.
type said struct{ something, ready, status, watchdog, stopping bool }

const (
	// extension is what systemd is asked to wait for in addition, every second again.
	extension = 10 * time.Second
	// startPatience is systemd's DefaultTimeoutStartSec=. The program has it to itself
	// where the wait for KMS took of its time, or a restart is ours.
	startPatience = 90 * time.Second
	// shortestWatch is as often as the watchdog is answered, whatever the program asks for.
	shortestWatch = 10 * time.Millisecond
	// flushPatience is how long the last messages may take at the end.
	flushPatience = 2 * time.Second
	// statusLength is as much of a text as is worth showing.
	statusLength = 400
)

// protocol are the variables that are for the program alone, and for nobody that we run
// beside it.
var protocol = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"}

// beginService finds out what systemd, or whoever else started us, wants to hear, and
// takes over the listening sockets.
func (e *Exec) beginService() error {
	s := &e.service
	if address, _ := e.Lookup("NOTIFY_SOCKET"); address != "" {
		var err error
		if s.manager, err = systemd.Dial(address, e.Log); err != nil {
			e.Log.Warn("NOTIFY_SOCKET is left to the program as it is", "err", err)
		}
	}
	pid, limited := e.Lookup("WATCHDOG_PID")
	if text, _ := e.Lookup("WATCHDOG_USEC"); s.manager != nil && (!limited || pid == strconv.Itoa(os.Getpid())) {
		s.watch(text)
	}
	if err := s.listen(e.Config.Child.Sockets, e.Lookup); err != nil {
		return err
	}
	e.Environ = s.over(e.Environ)
	return nil
}

// watch sets the interval of the watchdog, in microseconds; 0 turns it off.
func (s *service) watch(text string) {
	every, ok := watchEvery(text)
	if !ok {
		return
	}
	if s.watchdog != nil {
		s.watchdog.Stop()
		s.watchdog = nil
	}
	if every > 0 {
		s.watchdog = time.NewTicker(every)
	}
}

// watchEvery is how often a watchdog of so many microseconds is answered; 0 is never.
func watchEvery(text string) (time.Duration, bool) {
	usec, err := strconv.ParseUint(text, 10, 53)
	if usec == 0 {
		return 0, err == nil
	}
	return max(time.Duration(usec)*time.Microsecond/2, shortestWatch), err == nil
}

// due gets the times at which systemd's watchdog wants an answer.
func (s *service) due() <-chan time.Time {
	if s.watchdog == nil {
		return nil
	}
	return s.watchdog.C
}

func (s *service) tell(lines ...string) {
	if s.manager != nil {
		s.manager.Send(systemd.Message{Lines: lines})
	}
}

// tellStatus shows a text of ours, as long as the program has shown none of its own.
func (s *service) tellStatus(text string) {
	text = strings.ToValidUTF8(strings.Join(strings.Fields(text), " "), "?")
	if len(text) > statusLength {
		text = strings.ToValidUTF8(text[:statusLength], "") + " ..."
	}
	if s.manager == nil || s.said.status || text == s.status {
		return
	}
	s.status = text
	s.tell("STATUS=" + text)
}

// waitForKMS keeps systemd from losing patience, and says what the start waits for.
func (s *service) waitForKMS(why any) {
	s.extended = true
	s.askFor(extension)
	s.tellStatus(fmt.Sprintf("waiting for KMS before the program starts: %v", why))
}

// askFor asks systemd to wait so long from now on, if it would not anyway.
func (s *service) askFor(patience time.Duration) {
	s.tell("EXTEND_TIMEOUT_USEC=" + strconv.FormatInt(patience.Microseconds(), 10))
}

// everySecond ticks where somebody is to be told that a start takes long.
func (s *service) everySecond() *time.Ticker {
	ticker := time.NewTicker(time.Second)
	if s.manager == nil {
		ticker.Stop()
	}
	return ticker
}

// tellReady says once that the service is up.
func (s *service) tellReady() {
	s.look = nil
	if !s.ready {
		s.ready = true
		s.tell("READY=1")
	}
	s.tellServed()
}

// newGeneration notes that another generation is in the place of the last.
func (s *service) newGeneration() {
	s.generation++
	if s.ready {
		s.tellServed()
	}
}

func (s *service) tellServed() {
	s.tellStatus(fmt.Sprintf("generation %d of the secrets, of %s", s.generation, time.Now().UTC().Format(time.DateTime+" UTC")))
}

// reloadBegins says that the program is about to be told to read its files again.
func (s *service) reloadBegins() {
	if !s.ready || s.stopping {
		return
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		return
	}
	s.reloading = true
	s.tell("RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000))
}

func (s *service) reloadEnds() {
	if s.reloading {
		s.reloading = false
		s.tell("READY=1")
	}
}

// over is an environment with what the program is to find of its listening sockets.
func (s *service) over(environ []string) []string {
	if !s.passes() {
		return environ
	}
	environ = without(environ, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
	if len(s.sockets) == 0 {
		return environ
	}
	return append(environ, append(systemd.Variables(s.sockets), "LISTEN_PID="+strconv.Itoa(os.Getpid()))...)
}

// leave leaves the rest to the program that this process becomes: one that never
// notifies can't say that it is ready, so that is said before.
func (s *service) leave(notify string) {
	if notify == config.NotifyNever {
		s.tellReady()
	}
	if s.extended {
		s.askFor(startPatience)
	}
	s.hangUp()
}

func (s *service) hangUp() {
	if s.manager != nil {
		s.manager.Close(flushPatience)
		s.manager = nil
	}
}

// endService says the last, and lets go of everything.
func (e *Exec) endService() {
	s := &e.service
	if s.relay != nil {
		for _, m := range s.relay.Close() {
			m.Close()
		}
		s.relay = nil
	}
	if s.watchdog != nil {
		s.watchdog.Stop()
	}
	s.unlink()
	s.hangUp()
}
