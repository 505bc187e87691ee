package watch

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"os"

	"github.com/kmsrun/kmsrun/internal/filewatch"
)

// Files watches local files for other contents, however they are saved.
type Files struct {
	paths []string
	seen  map[string][sha256.Size]byte // of the contents; a file that can't be read has none
	watch *filewatch.Watch
}

// NewFiles begins to watch; what changes from now on is not missed.
func NewFiles(paths []string) (*Files, error) {
	watch, err := filewatch.New(func() []string { return paths })
	if err != nil {
		return nil, err
	}
	f := &Files{paths: paths, watch: watch}
	f.seen = f.read()
	return f, nil
}

// Run pokes changed, which should have room for one, after each change of contents,
// until ctx ends.
func (f *Files) Run(ctx context.Context, log *slog.Logger, changed chan<- struct{}) {
	f.watch.Run(ctx, log, func() {
		if f.look() {
			poke(changed)
		}
	})
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // the last poke was not taken yet, and stands for this one too
	}
}

// look tells whether contents are other than those seen before.
func (f *Files) look() bool {
	now := f.read()
	other := false
	for _, path := range f.paths {
		before, had := f.seen[path]
		after, has := now[path]
		other = other || had != has || before != after
	}
	f.seen = now
	return other
}

func (f *Files) read() map[string][sha256.Size]byte {
	sums := map[string][sha256.Size]byte{}
	for _, path := range f.paths {
		if content, err := os.ReadFile(path); err == nil {
			sums[path] = sha256.Sum256(content)
		}
	}
	return sums
}
