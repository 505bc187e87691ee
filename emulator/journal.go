package emulator

import (
	"sync"
	"time"
)

const maxJournal = 10_000

// Request is one call in the journal. It holds no value, no signature and no token; of a caller who was not believed it
// holds nothing that he sent but the action, if there is one of that name.
type Request struct {
	Time        time.Time `json:"time"` // on the emulator's clock
	Action      string    `json:"action"`
	Resource    string    `json:"resource,omitempty"` // ARN
	Secret      string    `json:"secret,omitempty"`   // name
	Caller      string    `json:"caller,omitempty"`   // ARN
	AccessKeyID string    `json:"access_key_id,omitempty"`
	Status      int       `json:"status"`          // 0 when a fault left the call without an answer
	Code        string    `json:"code,omitempty"`  // of an error
	Fault       string    `json:"fault,omitempty"` // the kind that was injected
}

// journal keeps the last calls.
type journal struct {
	mu   sync.Mutex
	ring []Request
	next int // where the oldest is, once the ring is full
}

func (j *journal) add(r Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.ring) < maxJournal {
		j.ring = append(j.ring, r)
		return
	}
	j.ring[j.next] = r
	j.next = (j.next + 1) % maxJournal
}

func (j *journal) list() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append(append([]Request{}, j.ring[j.next:]...), j.ring[:j.next]...) // not null when empty
}

func (j *journal) clear() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ring, j.next = nil, 0
}

// Requests returns the last 10,000 calls, oldest first.
func (e *Emulator) Requests() []Request { return e.journal.list() }
