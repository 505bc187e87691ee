package render

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// retired is a generation that was flipped away from.
type retired struct {
	name  string
	until time.Time
}

// sweepAgain is the pause before another try to remove a retired generation, after a
// filesystem was read-only for example.
const sweepAgain = 10 * time.Second

// SetGrace sets how long the generations retired from now on stay readable.
func (d *Dir) SetGrace(grace time.Duration) { d.grace = grace }

// Sweep removes the retired generations whose grace is over, and returns when to
// call it again; zero for not before the next Commit.
func (d *Dir) Sweep(now time.Time) time.Time {
	var stay []retired
	var next time.Time
	for _, old := range d.retired {
		if !now.Before(old.until) {
			if err := d.root.RemoveAll(old.name); err == nil {
				crashPoint()
				continue
			}
			old.until = now.Add(sweepAgain)
		}
		stay = append(stay, old)
		if next.IsZero() || old.until.Before(next) {
			next = old.until
		}
	}
	d.retired = stay
	return next
}

// SweepAll removes every generation but the present one, whatever its grace: their
// owner is gone, or the lock would not be ours.
func (d *Dir) SweepAll() {
	for _, old := range d.retired {
		_ = d.root.RemoveAll(old.name)
	}
	d.retired = nil
}

// recover takes over what a predecessor left: the present generation stands until
// the first flip, all else of ours goes.
func (d *Dir) recover() error {
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return err
	}
	present, _ := d.root.Readlink(dataLink)
	for _, entry := range entries {
		name := entry.Name()
		if name == newDataLink || generationName.MatchString(name) && name != present {
			if err := d.root.RemoveAll(name); err != nil {
				return err
			}
			crashPoint()
		}
		if target, err := d.root.Readlink(name); err == nil && target == dataLink+"/"+name {
			d.links = append(d.links, name)
		}
	}
	return nil
}

// Remove takes all of ours away, and the directory if we made it, and unlocks. What a
// predecessor published stands if nothing of ours took its place.
func (d *Dir) Remove() {
	if d.ours {
		d.removeFiles()
	}
	if d.made {
		_ = os.Remove(d.path) // stays if somebody else put something there
	}
	d.release()
}

func (d *Dir) removeFiles() {
	for _, name := range append(d.links, dataLink, newDataLink, keptMark, untoldMark) {
		_ = d.root.Remove(name)
	}
	entries, _ := fs.ReadDir(d.root.FS(), ".")
	for _, entry := range entries {
		if generationName.MatchString(entry.Name()) {
			_ = d.root.RemoveAll(entry.Name())
		}
	}
}

// Keep unlocks, and leaves what is published for whoever reads it.
func (d *Dir) Keep() error {
	d.SweepAll()
	err := d.markKept()
	d.release()
	return err
}

// KeepLock hands the lock on to the program that this process becomes by execve:
// the files are in use as long as that program runs.
func (d *Dir) KeepLock() error {
	if err := d.markKept(); err != nil {
		return err
	}
	// Without CLOEXEC, and above the numbers that listening sockets take.
	_, err := unix.FcntlInt(d.lock.Fd(), unix.F_DUPFD, keptLock)
	if errors.Is(err, unix.EINVAL) { // a low limit of open files
		_, err = unix.FcntlInt(d.lock.Fd(), unix.F_SETFD, 0)
	}
	return err
}

// keptLock is where the number of a lock that a program keeps begins.
const keptLock = 100

// keptMark, in a directory of a random name, tells files that were left on purpose
// from those of a kmsrun that was killed.
const keptMark = "..kept"

func (d *Dir) markKept() error {
	if !randomPlace.MatchString(d.path) {
		return nil
	}
	err := d.root.Symlink("by-kmsrun", keptMark)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (d *Dir) release() {
	_ = d.root.Close()
	_ = d.lock.Close()
}
