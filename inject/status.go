package inject

import (
	"slices"
	"sync/atomic"

	"github.com/kmsrun/kmsrun/metrics"
)

// view is what GET /status shows of the loop, which fills it in as things happen.
type view struct {
	pinned atomic.Pointer[[]metrics.Secret]
	child  atomic.Pointer[metrics.Child]
	action atomic.Pointer[metrics.Action]
	held   atomic.Pointer[[]string]
}

// status is called from any goroutine.
func (e *Exec) status() metrics.Status {
	s := metrics.Status{Started: e.started.Load(), Child: e.view.child.Load(), Action: e.view.action.Load(), OnHold: e.hold.Load()}
	if watcher := e.watcher.Load(); watcher != nil {
		s.Secrets = slices.Clone(watcher.Status())
	}
	if e.Sealed != nil {
		s.Sealed = e.Sealed()
	}
	if held := e.view.held.Load(); held != nil {
		s.Held = *held
	}
	if pinned := e.view.pinned.Load(); pinned != nil {
		s.Secrets = append(s.Secrets, *pinned...)
	}
	return s
}
