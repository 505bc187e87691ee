package inject

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/notify"
	"github.com/kmsrun/kmsrun/render"
)

var errNotChecked = errors.New("no check has ended")

// checkPatience is how long one health check may take, if health.interval is not longer.
const checkPatience = 5 * time.Second

// check begins a health check beside the loop.
func (l *loop) check() {
	l.settling.next = nil
	ctx, cancel := context.WithTimeout(l.ctx, max(l.Config.Health.Interval, checkPatience))
	checked := make(chan error, 1)
	l.settling.checked, l.settling.cancel = checked, cancel
	healthy := l.checkOf(l.Config.Health)
	l.watching.Go(func() {
		defer cancel()
		checked <- healthy(ctx)
	})
}

func (l *loop) checkEnded(err error) {
	l.settling.checked, l.settling.failure = nil, err
	if err != nil {
		l.Log.Debug("the health check failed", "err", err)
	} else if l.settling.long {
		l.prove()
		return
	}
	l.settling.next = time.After(l.Config.Health.Interval)
}

// checkOf is the check that is declared.
func (l *loop) checkOf(h config.Health) func(ctx context.Context) error {
	switch {
	case h.HTTP != "":
		return func(ctx context.Context) error { return notify.Answers(ctx, h.HTTP) }
	case h.TCP != "":
		return func(ctx context.Context) error {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", h.TCP)
			if err == nil {
				_ = conn.Close()
			}
			return err
		}
	default:
		run := notify.Exec(h.Exec, max(h.Interval, checkPatience), l.commands())
		environ, mask := l.environ(l.generation), render.Mask(l.snapshot, l.proven.snapshot)
		return func(ctx context.Context) error {
			return run(ctx, notify.News{Environ: func() []string { return environ }, Mask: mask})
		}
	}
}
