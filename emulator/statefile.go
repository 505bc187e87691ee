package emulator

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// stateFormat is the newest format of state files. A change that this version would misread makes it another number.
const stateFormat = 1

// stateHead is the first line of a state file; the rest is the state, in JSON.
type stateHead struct {
	Format int    `json:"kmsrun_emulator_state"`
	SHA256 string `json:"sha256"` // of the rest
}

// writeState replaces the file in one step: after a crash, of the machine too, it has either the old state or the new.
func writeState(path string, state savedState) (err error) {
	body, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("writing state %q: %w", path, err)
	}
	sum := sha256.Sum256(body)
	head, _ := json.Marshal(stateHead{stateFormat, hex.EncodeToString(sum[:])}) // always encodes
	next := path + ".tmp"                                                       // the lock keeps others away from it
	if err := writeSynced(next, append(append(head, '\n'), body...)); err != nil {
		return fmt.Errorf("writing state %q: %w", next, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("writing state: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("writing state %q: %w", path, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("writing state %q: %w", path, err)
	}
	return nil
}

// writeSynced makes the file anew: one that lies there, or is a link, may be open to others.
func writeSynced(path string, text []byte) error {
	_ = unix.Unlink(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return bare(err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return bare(err)
}

// readState reads what writeState wrote. Its errors hold nothing of what is in the file.
func readState(path string) (savedState, error) {
	info, err := os.Stat(path)
	if err != nil {
		return savedState{}, fmt.Errorf("reading state: %w", err)
	}
	if !info.Mode().IsRegular() {
		return savedState{}, fmt.Errorf("state %q is not a regular file", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return savedState{}, fmt.Errorf("reading state: %w", err)
	}
	line, body, _ := bytes.Cut(text, []byte("\n"))
	var head stateHead
	if json.Unmarshal(line, &head) != nil || head.Format < 1 {
		return savedState{}, fmt.Errorf("%q is not a state file of kmsrun emulator; remove it to begin anew, or name another", path)
	}
	if head.Format > stateFormat {
		return savedState{}, fmt.Errorf("state %q has format %d, this kmsrun reads up to %d; use a newer kmsrun, or another file", path, head.Format, stateFormat)
	}
	sum := sha256.Sum256(body)
	if head.SHA256 != hex.EncodeToString(sum[:]) {
		return savedState{}, fmt.Errorf("state %q is broken: its checksum does not fit; remove it to begin anew, or bring back a copy", path)
	}
	var state savedState
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if dec.Decode(&state) != nil {
		return savedState{}, fmt.Errorf("state %q is broken: it does not hold what its format has", path)
	}
	return state, nil
}
