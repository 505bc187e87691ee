// Package notify tells others that secrets have changed: by touching a file, by a
// command, by an HTTP POST, or by a signal to another process. What it tells are names
// and version ids, and never a value.
package notify

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/proc"
)

// Func tells of a change, and returns when that has worked or failed. An error that
// time may mend is a [Temporary].
type Func func(ctx context.Context, news News) error

// News is what has changed.
type News struct {
	Variables []string // names, sorted
	Files     []string // paths below the directory, sorted
	Secrets   []Secret // sorted by name

	// Environ is the environment for a command; it may hold secrets.
	Environ func() []string
	// Mask takes the values of secrets out of what a command wrote.
	Mask func(text string) string
}

// Secret is one secret that has changed, and the version that it has now.
type Secret struct {
	Secret  string `json:"secret"`
	Stage   string `json:"stage,omitempty"`
	Version string `json:"version"`
}

// Temporary is a failure that is worth another try.
type Temporary struct{ Err error }

func (t *Temporary) Error() string { return t.Err.Error() }
func (t *Temporary) Unwrap() error { return t.Err }

// Commands is how commands are run.
type Commands struct {
	Table *proc.Table
	// Spec finds a command. What it returns runs with environ.
	Spec func(argv, environ []string) (proc.Spec, error)
}

// For makes the Func of an action that is told to somebody else than the program; nil
// for the others.
func For(a config.FileAction, commands Commands) Func {
	switch {
	case a.Touch != "":
		return Touch(a.Touch)
	case len(a.Exec) > 0:
		timeout := a.Timeout
		if timeout == 0 {
			timeout = config.ExecTimeout
		}
		return Exec(a.Exec, timeout, commands)
	case a.HTTP != "":
		return HTTP(a.HTTP)
	case a.Signal != 0 && a.PIDFile != "":
		return SignalFile(a.PIDFile, syscall.Signal(a.Signal))
	case a.Signal != 0 && a.Process != "":
		return SignalProcess(a.Process, syscall.Signal(a.Signal))
	default:
		return nil
	}
}

// and is news that a later one was added to: its versions count.
func (n News) and(later News) News {
	n.Variables = union(n.Variables, later.Variables)
	n.Files = union(n.Files, later.Files)
	secrets := slices.Clone(later.Secrets)
	for _, old := range n.Secrets {
		if !slices.ContainsFunc(secrets, func(s Secret) bool { return s.Secret == old.Secret && s.Stage == old.Stage }) {
			secrets = append(secrets, old)
		}
	}
	n.Secrets, n.Environ, n.Mask = secrets, later.Environ, later.Mask
	return n
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// Mailbox tells one recipient, one news at a time and always all that is new: what
// comes while it is at work is told in one. After a [Temporary] failure it tries again,
// at growing pauses, until that works or there is later news, which is told with it.
type Mailbox struct {
	news chan News // of one
	tell Func
	said func(news News, err error, again time.Duration)
	left bool // Run ended before the news at hand was told
}

// NewMailbox makes a mailbox. It calls said after each try, from its own goroutine;
// again is the pause to the next one, or 0.
func NewMailbox(tell Func, said func(news News, err error, again time.Duration)) *Mailbox {
	return &Mailbox{news: make(chan News, 1), tell: tell, said: said}
}

// Send leaves news. It never blocks; one goroutine may call it.
func (m *Mailbox) Send(news News) {
	for {
		select {
		case m.news <- news:
			return
		case old := <-m.news:
			news = old.and(news)
		}
	}
}

// Run tells until ctx ends.
func (m *Mailbox) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case news := <-m.news:
			m.deliver(ctx, news)
		}
	}
}

// Left tells, when Run has ended, whether there is news that was not told.
func (m *Mailbox) Left() bool { return m.left || len(m.news) > 0 }

func (m *Mailbox) deliver(ctx context.Context, news News) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := m.tell(ctx, news)
		if ctx.Err() != nil {
			m.left = err != nil
			return
		}
		if _, mend := errors.AsType[*Temporary](err); !mend {
			m.said(news, err, 0)
			return
		}
		m.said(news, err, pause)
		select {
		case <-ctx.Done():
			m.left = true
			return
		case later := <-m.news:
			news, pause = news.and(later), firstPause/2
		case <-time.After(pause):
		}
	}
}
