package emulator

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// keeper keeps the state of an emulator in a file. With one, all that looks at the state or changes it comes one after
// the other, and no answer tells of a change before the file has it.
type keeper struct {
	mu    sync.Mutex
	path  string
	lock  *os.File
	ahead time.Duration // of the clock, as the file has it
	last  savedState    // what the file has
}

// OpenState makes the file the memory of the emulator: what it holds is there again, and each change is in it before the
// call that made it is answered. A file that does not exist is created. It is called once, before LoadSeed and before the
// emulator serves; Close ends it. No other emulator can have the file meanwhile.
//
// Secret data is encrypted in the file under its key, but the keys are in there too: who can read the file can read the
// secrets. Faults, the journal and nonces are not kept. A file of a newer format, of another region or that is broken is
// an error, and stays as it is.
func (e *Emulator) OpenState(path string) (err error) {
	if e.keeper != nil {
		return errors.New("the emulator has a state file already")
	}
	if target, err := filepath.EvalSymlinks(path); err == nil { // the file is replaced, not a link to it
		path = target
	}
	k := &keeper{path: path}
	if k.lock, err = lockFile(path + ".lock"); err != nil {
		return fmt.Errorf("opening state %q: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = unlock(k.lock)
		}
	}()
	saved, err := readState(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		saved, err = e.saved(), nil
		if err = writeState(path, saved); err != nil {
			return err
		}
	case err != nil:
		return err
	case saved.Region != e.region:
		return fmt.Errorf("state %q is of region %q, not %q", path, saved.Region, e.region)
	}
	if err := e.load(saved); err != nil {
		return fmt.Errorf("state %q: %w", path, err)
	}
	e.clock.begin(time.Duration(saved.Ahead))
	k.last, k.ahead = saved, time.Duration(saved.Ahead)
	e.keeper = k
	return nil
}

// Close lets go of the state file. What the emulator is asked after that fails.
func (e *Emulator) Close() error {
	if e.keeper == nil {
		return nil
	}
	e.keeper.mu.Lock()
	defer e.keeper.mu.Unlock()
	lock := e.keeper.lock
	e.keeper.lock = nil
	if lock == nil {
		return nil
	}
	return unlock(lock)
}

// unlock does not leave it to Close: a process that is just being started has the file too, until it runs.
func unlock(f *os.File) error {
	return cmp.Or(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}

var errLocked = errors.New("another emulator has it open")

// lockFile takes the lock that ends with the process. It is on a file of its own because the state file is replaced.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("locking %q: %w", path, err)
	}
	return f, nil
}

// commit does what may change the state, and returns when the file has the change. If the file can't be written nothing
// has happened.
func (e *Emulator) commit(change func() error) error {
	k := e.keeper
	if k == nil {
		return change()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lock == nil {
		return errClosed
	}
	err := change()
	ahead := e.clock.lead()
	if !e.accounts.settled() && ahead == k.ahead {
		return err
	}
	next := e.saved()
	if writeErr := writeState(k.path, next); writeErr != nil {
		e.clock.begin(k.ahead)
		if loadErr := e.load(k.last); loadErr != nil {
			writeErr = loadErr // can't be: it has been read or written before
		}
		return &fault{http.StatusInternalServerError, errInternal.code, "Internal Failure: " + writeErr.Error(), false}
	}
	k.last, k.ahead = next, ahead
	return err
}

var errClosed = errors.New("the state file is closed")

// settled tells whether any store has changed since it was last asked.
func (a *accounts) settled() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := false
	for _, st := range a.stores {
		st.mu.Lock()
		changed = changed || st.dirty
		st.dirty = false
		st.mu.Unlock()
	}
	return changed
}
