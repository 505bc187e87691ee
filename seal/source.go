package seal

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/secret"
	"github.com/kmsrun/kmsrun/watch"
)

// Source puts the sealed file in front of KMS: it stands in at a start that KMS does
// not answer, and is written anew with what was published.
type Source struct {
	file    *File
	ids     []secret.ID
	reads   *watch.Reads
	log     *slog.Logger
	metrics *metrics.Metrics

	once     sync.Once // for the opening
	opened   Contents
	unusable bool

	mu      sync.Mutex
	sealed  map[secret.ID]bool // given from the file and not read since
	written time.Time

	published chan secret.Snapshot // of one: only the newest counts
	closing   chan struct{}
	closed    chan struct{}
	end       sync.Once
}

// NewSource makes a source of ids. The file is neither read nor written yet. reads
// tells the age of what is sealed, and is told the age of what comes from the file.
func NewSource(file *File, ids []secret.ID, reads *watch.Reads, log *slog.Logger, m *metrics.Metrics) *Source {
	s := &Source{
		file: file, ids: ids, reads: reads, log: log, metrics: m, sealed: map[secret.ID]bool{},
		published: make(chan secret.Snapshot, 1), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	go s.keep()
	return s
}

// First is next, and when an outage has outlasted ctx's deadline the value in the
// file. Whatever else goes wrong stays as it is: the file stands in for nobody's
// refusal.
func (s *Source) First(next watch.PatientFetch) watch.PatientFetch {
	return func(ctx, patience context.Context, id secret.ID) (secret.Value, error) {
		value, err := next(ctx, patience, id)
		if err == nil || !watch.Outage(err) || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return value, err
		}
		if value, ok := s.standIn(id, err); ok {
			return value, nil
		}
		return value, err
	}
}

// Poll is next, which moves secrets from the file to live values.
func (s *Source) Poll(next watch.Fetch) watch.Fetch {
	return func(ctx context.Context, id secret.ID) (secret.Value, error) {
		value, err := next(ctx, id)
		if err == nil {
			s.live(id)
		}
		return value, err
	}
}

// longestOpening bounds the wait for an age plugin, which may wait for somebody.
const longestOpening = 30 * time.Second

// standIn is the value of id in the file, if the file may be used.
func (s *Source) standIn(id secret.ID, outage error) (secret.Value, bool) {
	s.once.Do(func() {
		opened := make(chan error, 1)
		go func() {
			contents, err := s.file.Open(time.Now(), s.ids)
			s.opened = contents
			opened <- err
		}()
		var err error
		select {
		case err = <-opened:
		case <-time.After(longestOpening):
			err = errors.New("no answer from the age plugin in " + longestOpening.String())
		}
		if s.unusable = err != nil; s.unusable {
			s.log.Error("the sealed snapshot can't stand in for KMS", "file", s.file.path, "err", err)
			return
		}
		age := time.Since(s.opened.Oldest(s.ids)).Round(time.Second)
		s.log.Warn("starting from the sealed snapshot, since KMS did not answer in time: these values may be old; live ones follow when it answers",
			"file", s.file.path, "age", age, "err", outage)
	})
	if s.unusable {
		return secret.Value{}, false
	}
	value, ok := s.opened.Snapshot.Get(id)
	if ok {
		s.reads.Note(id, s.opened.Read[id])
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sealed[id] = !id.Pinned() // whose value is what it always is
		s.tell()
	}
	return value, ok
}

// live notes that KMS has given id.
func (s *Source) live(id secret.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.sealed[id] {
		return
	}
	delete(s.sealed, id)
	if s.tell() == 0 {
		s.log.Info("every secret has been read from KMS again: nothing is left of the sealed snapshot")
	}
}

// tell sets the gauge, and is called with mu held.
func (s *Source) tell() int {
	n := len(s.names())
	s.metrics.FromSealed(n)
	return n
}

func (s *Source) names() []string {
	var ids []secret.ID
	for id, from := range s.sealed {
		if from {
			ids = append(ids, id)
		}
	}
	names := []string{}
	for _, id := range secret.SortIDs(ids) {
		names = append(names, id.String())
	}
	return names
}

// Status is the present state. It may be called from any goroutine.
func (s *Source) Status() metrics.SealedStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return metrics.SealedStatus{File: s.file.path, Written: s.written, Serving: s.names()}
}
