package inject

import (
	"time"

	"github.com/kmsrun/kmsrun/render"
)

// Publish fetches, renders and publishes the files, once, and leaves them there. A
// failure leaves what was there before. The Status is that of a signal that asked to
// end before everything was done, or zero.
func (e *Exec) Publish() (Status, error) {
	dir, err := render.OpenDir(e.Config.Files, e.Lookup)
	if err != nil {
		return Status{}, err
	}
	f := first{exec: e}
	snapshot, generation, status, err := f.get(dir.Path())
	if err == nil && status.Signal == 0 {
		err = publish(dir, generation, time.Now())
	}
	if err != nil || status.Signal != 0 {
		remove(dir)
		return status, err
	}
	e.Published(snapshot)
	e.Log.Info("files published", "dir", dir.Path(), "files", len(generation.Files()))
	return Status{}, dir.Keep()
}
