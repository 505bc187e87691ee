package emulator

import (
	"crypto/sha256"
	"sync"
	"time"
)

// nonces remembers which signature nonces were used. A nonce is forgotten when the timestamp it came with has expired:
// from then on a replay is refused for its age, so the memory is bounded by half an hour of requests, of 16 bytes each
// and the map's own. They lie in one map for each minute of expiry: forgetting is dropping a map, at no cost to callers.
type nonces struct {
	mu      sync.Mutex
	minutes map[int64]map[nonce]struct{}
}

// nonce is a hash of what the client sent, which may be of any length.
type nonce [16]byte

// use reports whether the nonce is new, and remembers it.
func (n *nonces) use(text string, until, now time.Time) bool {
	sum := sha256.Sum256([]byte(text))
	key := nonce(sum[:len(nonce{})])
	minute, present := until.Unix()/60, now.Unix()/60
	n.mu.Lock()
	defer n.mu.Unlock()
	for at, used := range n.minutes { // some thirty
		if at < present {
			delete(n.minutes, at)
			continue
		}
		if _, found := used[key]; found {
			return false
		}
	}
	if n.minutes == nil {
		n.minutes = map[int64]map[nonce]struct{}{}
	}
	if n.minutes[minute] == nil {
		n.minutes[minute] = map[nonce]struct{}{}
	}
	n.minutes[minute][key] = struct{}{}
	return true
}
