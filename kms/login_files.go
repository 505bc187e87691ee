package kms

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
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
func (l *logins) keysOfFiles(ctx context.Context, paths [3]string) (Credentials, *Error) {
	var words [3]string
	for {
		var newest time.Time
		for i, path := range paths {
			if path == "" {
				continue
			}
			file, err := l.client.files.read(ctx, path)
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

// fileReads has one read of each path under way at a time: where a file's server hangs,
// each would hold a thread until it is back, and there would be more and more of them.
type fileReads struct {
	from  func(path string) loginFile
	mu    sync.Mutex
	under map[string]*fileRead
}

type fileRead struct {
	done chan struct{}
	file loginFile
}

// read reads a small regular file. It returns when ctx ends, even where the file's
// server hangs.
func (f *fileReads) read(ctx context.Context, path string) (loginFile, *Error) {
	r := f.begin(path)
	select {
	case <-r.done:
		if r.file.err != nil { // its text names the path as well
			e := noCredentials("nothing to read in "+tellable(path), "check the file")
			e.cause = r.file.err
			return loginFile{}, e
		}
		return r.file, nil
	case <-ctx.Done():
		return loginFile{}, &Error{Kind: Unavailable, detail: "can't read " + tellable(path) + " in time", advice: "check the volume it is on"}
	}
}

// tellable is a path as an error may tell it: what is none may be the key itself, in the
// place of the file that holds it.
func tellable(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return "a file whose path is not absolute"
}

func (f *fileReads) begin(path string) *fileRead {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r, ok := f.under[path]; ok {
		return r
	}
	r := &fileRead{done: make(chan struct{})}
	if f.under == nil {
		f.under = map[string]*fileRead{}
	}
	f.under[path] = r
	go func() {
		r.file = f.from(path)
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.under, path)
		close(r.done)
	}()
	return r
}

// readRegular does not wait for a writer to a pipe.
func readRegular(path string) loginFile {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return loginFile{err: err}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return loginFile{err: err}
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return loginFile{err: errors.New("not a regular file of sensible size")}
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile))
	return loginFile{text, info.ModTime(), err}
}
