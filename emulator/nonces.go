package emulator

import (
	"sync"
	"time"
)

// nonces remembers which signature nonces were used. A nonce is forgotten when the timestamp it came with has expired:
// from then on a replay is refused for its age, so the memory is bounded by half an hour of requests.
type nonces struct {
	mu    sync.Mutex
	until map[string]time.Time
	swept time.Time
}

// use reports whether the nonce is new, and remembers it.
func (n *nonces) use(nonce string, until, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.swept) > time.Minute || n.until == nil {
		n.sweep(now)
	}
	if _, used := n.until[nonce]; used {
		return false
	}
	n.until[nonce] = until
	return true
}

// sweep is for those who hold the lock. It builds the map anew, since a map keeps the memory of what is deleted from it.
func (n *nonces) sweep(now time.Time) {
	kept := map[string]time.Time{}
	for nonce, until := range n.until {
		if !until.Before(now) {
			kept[nonce] = until
		}
	}
	n.until, n.swept = kept, now
}
