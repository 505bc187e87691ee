package seal

import (
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

// Published takes a snapshot that was published, to be sealed. It never blocks, and
// only the newest counts.
func (s *Source) Published(snapshot secret.Snapshot) {
	for {
		select {
		case s.published <- snapshot:
			return
		default:
		}
		select {
		case <-s.published:
		default:
		}
	}
}

// longestClose bounds what the end of the process waits for a disk or a plugin.
const longestClose = 5 * time.Second

// Close seals what was published last, and ends the keeping. Nothing may be published
// after it.
func (s *Source) Close() {
	s.end.Do(func() { close(s.closing) })
	select {
	case <-s.closed:
	case <-time.After(longestClose):
		s.log.Warn("the sealed snapshot could not be written before the end; the last one stays", "file", s.file.path)
	}
}

// A file is written anew, unchanged as its values may be, when it would gain this part
// of max_age: what is in force for months must not get too old to be used.
const gain = 4

// keep is the one who writes the file: after each generation, again after a failure,
// and for the values to stay young.
func (s *Source) keep() {
	defer close(s.closed)
	look := time.NewTicker(max(min(s.file.maxAge/(2*gain), 10*time.Second), time.Millisecond))
	defer look.Stop()
	k := keeping{source: s}
	s.file.sweep(time.Now())
	for {
		select {
		case k.snapshot = <-s.published:
			k.write()
		case <-look.C:
			if len(k.snapshot.IDs()) > 0 && (k.failed || k.oldest().Sub(k.confirmed) > s.file.maxAge/gain) {
				k.write()
			}
		case <-s.closing:
			select {
			case k.snapshot = <-s.published:
				k.write()
			default:
			}
			return
		}
	}
}

// keeping is the state of keep.
type keeping struct {
	source    *Source
	snapshot  secret.Snapshot
	confirmed time.Time // when the value was read that is oldest in the file
	failed    bool
}

func (k *keeping) oldest() time.Time {
	ids, read := k.snapshot.IDs(), map[secret.ID]time.Time{}
	for _, id := range ids {
		read[id] = k.source.reads.Last(id)
	}
	return Contents{Read: read}.Oldest(ids)
}

func (k *keeping) write() {
	s, now, oldest := k.source, time.Now(), k.oldest()
	err := s.file.Write(k.snapshot, s.reads.Last)
	s.metrics.Sealed(err == nil, now)
	if err != nil {
		if !k.failed {
			s.log.Warn("the sealed snapshot can't be written; the last one stays, and gets older", "file", s.file.path, "err", err)
		}
		k.failed = true
		return
	}
	if k.failed {
		s.log.Info("the sealed snapshot is written again", "file", s.file.path)
	}
	s.log.Debug("sealed the snapshot", "file", s.file.path, "secrets", len(k.snapshot.IDs()))
	k.failed, k.confirmed = false, oldest
	s.mu.Lock()
	s.written = now
	s.mu.Unlock()
}
