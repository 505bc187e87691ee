package inject

import (
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/asfound"
	"github.com/kmsrun/kmsrun/render"
	"github.com/kmsrun/kmsrun/secret"
)

// A sidecar is the same loop without a program: it publishes files, and tells those
// whom on_change names. Its child is none, and its end is a request to end.

// sidecar tells whether there is no program.
func (e *Exec) sidecar() bool { return len(e.Argv) == 0 }

// look finds, before a sidecar publishes, what readers of the files had until now.
func (f *first) look(dir *render.Dir, next render.Generation) {
	switch {
	case !f.exec.sidecar():
	case dir.Untold():
		f.stale = slices.Sorted(maps.Keys(next.Files()))
	default:
		f.stale = dir.Stale(next.Files())
	}
}

// attend begins a sidecar whose files are published. stale are files of a predecessor that
// had other content, or of whose last change it could not tell: their readers may be
// running, and are told. Where there were no files nobody is.
func (l *loop) attend(stale []string) {
	l.given = l.generation
	l.prove()
	l.Log.Info("files published", "dir", l.dir.Path(), "files", len(l.generation.Files()))
	l.service.tellReady()
	for _, s := range l.kept {
		l.heed(s)
	}
	if len(stale) > 0 {
		l.Log.Info("readers of the files that were there may not know these", "files", stale)
		l.tell(render.Change{Files: stale}, secretsOf(stale, l.Config)) // whether that worked is known at the end
	}
}

// leaveWord has the next sidecar tell what there was no time for.
func (e *Exec) leaveWord(dir *render.Dir) {
	if err := dir.MarkUntold(); err != nil {
		e.Log.Error("a change was not told, and the next sidecar will not know", "dir", dir.Path(), "err", err)
		return
	}
	e.Log.Warn("a change was not told; the next sidecar of this directory will", "dir", dir.Path())
}

// secretsOf lists what these files are made of.
func secretsOf(files []string, c config.Config) []secret.ID {
	var ids []secret.ID
	for id, users := range c.Uses() {
		if slices.ContainsFunc(users, func(user string) bool { return slices.Contains(files, strings.TrimPrefix(user, "file ")) }) {
			ids = append(ids, id)
		}
	}
	return secret.SortIDs(ids)
}

// heed takes a signal that is for a sidecar itself: TERM, INT and QUIT end it, HUP means a
// poll now, and others mean nothing.
func (l *loop) heed(s syscall.Signal) {
	switch {
	case ends(s, asfound.Here()):
		l.Log.Info("ending", "signal", signalName(s))
		l.leaving, l.stop.phase = true, ended
	case s == syscall.SIGHUP:
		l.service.reloadBegins()
		if !l.poke() {
			l.Log.Info("nothing is watched: every secret is pinned to a version", "signal", signalName(s))
		}
		l.service.reloadEnds()
	default:
		came, _ := stopsUsToo(s, l.Signals)
		for _, s := range came {
			l.take(s)
		}
	}
}
