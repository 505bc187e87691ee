package inject

import (
	"reflect"
	"slices"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/notify"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
)

// mailboxes are the recipients of news beside the program. Each is made at its first
// news, and works until the end.
type mailboxes []mailbox

type mailbox struct {
	action config.FileAction
	*notify.Mailbox
}

// left tells, when all have ended, whether there is news that was not told.
func (all mailboxes) left() bool {
	return slices.ContainsFunc(all, func(m mailbox) bool { return m.Left() })
}

// send leaves news for the recipient of an action.
func (l *loop) send(a config.FileAction, news notify.News) {
	for _, m := range l.mailboxes {
		if reflect.DeepEqual(m.action, a) {
			m.Send(news)
			return
		}
	}
	m := mailbox{a, notify.NewMailbox(notify.For(a, l.commands()), l.sent(kindOf(a)))}
	l.mailboxes = append(l.mailboxes, m)
	l.watching.Go(func() { m.Run(l.ctx) })
	m.Send(news)
}

// sent tells how it went. It is called from the goroutine of a mailbox.
func (e *Exec) sent(kind action) func(notify.News, error, time.Duration) {
	return func(news notify.News, err error, again time.Duration) {
		done := metrics.Action{Action: kind.String(), At: time.Now(), Result: "ok"}
		switch {
		case again > 0:
			done.Result = "failed, and will be tried again"
			e.Log.Warn("a change could not be told; trying again", "action", kind, "files", news.Files, "err", err, "in", again)
		case err != nil:
			done.Result = "failed"
			e.Log.Error("a change could not be told", "action", kind, "files", news.Files, "err", err)
		default:
			e.Log.Info("the change was told", "action", kind, "files", news.Files)
		}
		e.Metrics.Notified(kind.String(), err == nil)
		e.view.action.Store(&done)
	}
}

// news is what a change is to others. The environment that their commands get is the
// program's, and SECRETS_DIR.
func (l *loop) news(change render.Change, changed []secret.ID) notify.News {
	news := notify.News{Variables: change.Env, Files: change.Files, Mask: render.Mask(l.snapshot, l.proven.snapshot)}
	for _, id := range changed {
		value, _ := l.snapshot.Get(id)
		news.Secrets = append(news.Secrets, notify.Secret{Secret: id.Label(), Stage: id.Stage, Version: value.Version})
	}
	environ := l.environ(l.generation)
	if l.dir != nil {
		environ = with(environ, "SECRETS_DIR", l.dir.Path())
	}
	news.Environ = func() []string { return environ }
	return news
}

// commands is how commands beside the program are run.
func (l *loop) commands() notify.Commands {
	return notify.Commands{Table: l.Processes, Spec: func(argv, environ []string) (proc.Spec, error) { return l.program.spec(argv, environ) }}
}
