package emulator

import (
	"errors"
	"fmt"
	"log/slog"
)

// Seed is a seed file whose secrets were put into an emulator. Watch keeps them in step with the file. A Seed belongs to
// one goroutine.
type Seed struct {
	emulator *Emulator
	store    *store
	path     string
	last     reading // the last look at the file, good or not
	base     []seedSecret
}

// LoadSeed creates the secrets and keys of a YAML seed file:
//
//	secrets:
//	  prod/db: {value: {AccountName: app, AccountPassword: s3cr3t, ratio: 1.10}, version: v1}
//	  prod/tls: {value_file: tls.json}
//	  prod/plain: "a string is the value itself"
//	keys:
//	  1234abcd-12ab-34cd-56ef-1234567890ab: {description: for secrets}
//
// A map or list becomes compact JSON, in which scalars keep their text and keys their order; any other value is its
// text. A value_file is relative to the directory of the seed file. An entry may have a version (default v1) and a
// data_type (text or binary, default text); the limits are those of CreateSecret. A fault is told as FILE:LINE: TEXT,
// without values; then, and when a secret exists already, nothing more is created. With a state file the state wins:
// what is there stays as it is, and the seed only adds.
func (e *Emulator) LoadSeed(path string) (*Seed, error) {
	s := &Seed{emulator: e, store: e.store, path: path, last: readSeed(path)}
	if s.last.err != nil {
		return nil, s.last.err
	}
	s.base = s.last.secrets
	return s, e.commit(s.create)
}

func (s *Seed) create() error {
	s.addKeys()
	for _, entry := range s.base {
		_, err := s.store.create(generic(entry.name, entry.version))
		if s.emulator.keeper != nil && (errors.Is(err, errExists) || errors.Is(err, errNamePlanned)) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s:%d: creating secret %q: %w", s.path, entry.line, entry.name, err)
		}
	}
	return nil
}

// refresh reads the file again and applies what differs from the previous good reading. A file that can't be used
// changes nothing, and is not what the next one is compared with.
func (s *Seed) refresh(log *slog.Logger) {
	next := readSeed(s.path)
	same := next.raw == s.last.raw
	s.last = next
	if same {
		return
	}
	if next.err != nil {
		log.Warn("seed file ignored, keeping the present secrets", "file", s.path, "err", next.err)
		return
	}
	before := make(map[string]seedSecret, len(s.base))
	for _, entry := range s.base {
		before[entry.name] = entry
	}
	s.base = next.secrets
	err := s.emulator.commit(func() error {
		s.addKeys()
		for _, entry := range s.base {
			if old, ok := before[entry.name]; !ok || !old.same(entry) {
				s.apply(entry, log)
			}
		}
		return nil
	})
	if err != nil {
		log.Error("seed file not applied", "file", s.path, "err", err)
	}
}

// apply puts the entry as a new current version. The secret may exist although the entry is new to the file (it was
// taken out and came back), or be gone although it was there: the store decides which it is.
func (s *Seed) apply(entry seedSecret, log *slog.Logger) {
	id, created, err := s.store.renew(entry.name, entry.version)
	switch {
	case err != nil:
		log.Warn("seed secret skipped", "secret", entry.name, "err", err)
	case created:
		log.Info("seed secret created", "secret", entry.name, "version", id)
	default:
		log.Info("seed secret rotated", "secret", entry.name, "version", id)
	}
}
