package notify

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// Touch sets a file's times to now, and makes the file, empty, where it is not there.
func Touch(file string) Func {
	return func(context.Context, News) error {
		now := time.Now()
		err := os.Chtimes(file, now, now)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		made, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o644) //nolint:gosec // it holds nothing, and others watch it
		if err != nil {
			return err
		}
		return made.Close()
	}
}
