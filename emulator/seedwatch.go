package emulator

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/kmsrun/kmsrun/internal/filewatch"
)

// Watch applies each save of the seed file and its value files until ctx ends, and then returns nil; an error means that
// watching could not begin. A save is compared with the file before it, secret by secret: a changed entry is put as the
// ACSCurrent version under its version id or, when that is taken, the first free of <version>-2, <version>-3 and so on;
// a new entry is created; one that was removed stays in the emulator. A file that can't be read or used is ignored with
// a warning. The log tells names and version ids, never values.
func (s *Seed) Watch(ctx context.Context, log *slog.Logger) error {
	w, err := filewatch.New(func() []string { return append([]string{s.path}, s.last.files...) })
	if err != nil {
		return fmt.Errorf("watching seed %q: %w", s.path, err)
	}
	w.Run(ctx, log.With("seed", s.path), func() { s.refresh(log) }) // at once, too: the file may have been saved since it was loaded
	return nil
}
