package kms

import (
	"context"
	"os"
	"strings"
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
			info, statErr := os.Stat(path) // before it is read: what changes in between is younger still
			text, err := os.ReadFile(path)
			if words[i] = strings.TrimSpace(string(text)); err != nil || statErr != nil || words[i] == "" {
				return Credentials{}, noCredentials("nothing to read in "+path, "check the file")
			}
			if info.ModTime().After(newest) {
				newest = info.ModTime()
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
