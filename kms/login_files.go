package kms

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// rereadFiles is how soon files are read again: whoever renews the keys in them tells
// nobody, and reading costs next to nothing.
const rereadFiles = time.Second

// settled is how old the newest of a key's files must be. Whoever renews a key writes
// two or three files, one after the other: what is newer may be half of it.
const settled = 200 * time.Millisecond

// keysOfFiles reads an access key, and the STS token if the third path is not empty.
func keysOfFiles(ctx context.Context, paths [3]string) (Credentials, *Error) {
	var words [3]string
	for {
		var newest time.Time
		for i, path := range paths {
			if path == "" {
				continue
			}
			file, err := readFile(ctx, path)
			if err != nil {
				return Credentials{}, err
			}
			if words[i] = strings.TrimSpace(string(file.text)); words[i] == "" {
				return Credentials{}, noCredentials("nothing to read in "+path, "check the file")
			}
			if file.modified.After(newest) {
				newest = file.modified
			}
		}
		age := time.Since(newest)
		if age < 0 || age >= settled { // below 0: another machine's clock, which tells nothing
			break
		}
		select {
		case <-time.After(settled - age):
		case <-ctx.Done():
			return Credentials{}, &Error{Kind: Unavailable, detail: transportDetail(ctx, ctx.Err())}
		}
	}
	keys := AccessKey(words[0], words[1])
	keys.what = "the access key of " + paths[0]
	if words[2] != "" {
		keys = stsToken(words[0], words[1], words[2])
		keys.what = "the STS token of " + paths[2]
	}
	keys.reread, keys.from = rereadFiles, paths
	return keys, nil
}

// maxFile bounds a file of a login, in bytes.
const maxFile = 1 << 20

// loginFile is what a file held, and its time before it was read: what changes in
// between is younger still.
type loginFile struct {
	text     []byte
	modified time.Time
	err      error
}

// readFile reads a small regular file. It returns when ctx ends, even where the
// file's server hangs, and does not wait for a writer to a pipe.
func readFile(ctx context.Context, path string) (loginFile, *Error) {
	done := make(chan loginFile, 1)
	go func() {
		var file loginFile
		file.text, file.modified, file.err = readRegular(path)
		done <- file
	}()
	select {
	case file := <-done:
		if file.err != nil { // its text names the path as well
			e := noCredentials("nothing to read in "+path, "check the file")
			e.cause = file.err
			return loginFile{}, e
		}
		return file, nil
	case <-ctx.Done():
		return loginFile{}, &Error{Kind: Unavailable, detail: "can't read " + path + " in time", advice: "check the volume it is on"}
	}
}

func readRegular(path string) (text []byte, modified time.Time, err error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, time.Time{}, errors.New("not a regular file of sensible size")
	}
	text, err = io.ReadAll(io.LimitReader(file, maxFile))
	return text, info.ModTime(), err
}
