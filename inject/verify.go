package inject

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/notify"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/render"
)

// verifying is a candidate with the command that verifies it at work.
type verifying struct {
	candidate
	staged  *render.Staged // not flipped to; nil without new files, or after the flip
	flipped bool
	command *proc.Command
}

func (v *verifying) done() <-chan proc.Result {
	if v == nil {
		return nil
	}
	return v.command.Done()
}

// verifyOutput is how many bytes of a command's output are kept, the last ones.
const verifyOutput = 64 << 10

// flipAgain is the pause before another try to flip back: until then the files are ones
// that nobody should see.
const flipAgain = time.Second

// verify has a command judge a candidate, before the flip to its files or after it.
// Nobody is told until it has.
func (l *loop) verify(c candidate) {
	v := &verifying{candidate: c}
	dir, check := "", c.config.Verify
	if c.dir != nil {
		dir = c.dir.Path()
	}
	if len(c.change.Files) > 0 {
		staged, err := c.dir.Stage(c.next.Files())
		if err == nil && check.When == config.VerifyAfter {
			err, v.flipped = staged.Commit(time.Now()), true
		}
		if err != nil {
			l.unpublished(c, err)
			return
		}
		if !v.flipped {
			v.staged, dir = &staged, staged.Path()
		}
	}
	environ := l.environ(c.next)
	if dir != "" {
		environ = with(environ, "SECRETS_DIR", dir)
	}
	spec, err := l.program.spec(check.Exec, environ)
	if err == nil {
		v.command, err = l.Processes.Run(spec, check.Timeout, verifyOutput)
	}
	if err != nil {
		l.refuse(v, err)
		return
	}
	l.Log.Debug("verifying a change", "command", check.Exec[0], "when", check.When)
	l.verifying = v
}

// verified takes a candidate over, or refuses it.
func (l *loop) verified(r proc.Result) {
	v := l.verifying
	l.verifying = nil
	mask := render.Mask(l.snapshot, v.snapshot)
	err := notify.Failure(filepath.Base(v.config.Verify.Exec[0]), v.config.Verify.Timeout, r, mask)
	switch {
	case err != nil:
		l.refuse(v, err)
	case l.hold.Load():
		l.withdraw(v)
		l.waitAgain(v)
	default:
		l.accept(v)
	}
	l.goOn()
}

func (l *loop) accept(v *verifying) {
	if v.staged != nil {
		if err := v.staged.Commit(time.Now()); err != nil {
			l.unpublished(v.candidate, err)
			return
		}
	}
	l.present(v.candidate)
}

// waitAgain has a candidate considered once more, when nothing stands against it.
func (l *loop) waitAgain(v *verifying) {
	if v.edited {
		if v.dir != l.dir {
			remove(v.dir)
		}
		l.reload.again = time.After(0) // and all is read once more
		return
	}
	l.waits = true
}

// refuse keeps the present generation. The same versions are not tried again.
func (l *loop) refuse(v *verifying, why error) {
	if v.edited {
		l.withdraw(v)
		l.refused(v.candidate, fmt.Errorf("what it makes did not pass verification: %w", why))
		return
	}
	l.Metrics.Generation("refused")
	l.Log.Error("the new secrets did not pass verification; keeping the present ones", "err", why)
	l.holdBack(v.snapshot.Changed(l.snapshot), v.snapshot, "it did not pass verification")
	l.withdraw(v)
}

// withdraw undoes what was done for a candidate.
func (l *loop) withdraw(v *verifying) {
	if v.staged != nil {
		v.staged.Discard()
	}
	if v.flipped {
		l.unflipped = true
		l.flipBack()
	}
}

// flipBack publishes the present generation again. Nobody was told of the other.
func (l *loop) flipBack() {
	if l.dir == nil { // an edit was to bring the first files
		l.unflipped = false
		return
	}
	if err := publish(l.dir, l.generation, time.Now()); err != nil {
		l.Log.Error("the present files can't be published again; trying on", "err", err, "in", flipAgain)
		l.again = time.After(flipAgain)
		return
	}
	l.unflipped = false
	l.sweepDir()
}

// abandon makes an end of a verification whose outcome does not matter any more.
func (l *loop) abandon() {
	v := l.verifying
	if v == nil {
		return
	}
	v.command.Kill()
	<-v.command.Done()
	l.verifying = nil
	l.withdraw(v)
	l.waitAgain(v)
}
