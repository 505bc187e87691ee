package emulator

import (
	"strings"
	"sync"
	"time"
)

// accounts holds one store per account, made when an identity of that account first needs it. An ARN alone makes none, so
// that nobody fills the memory with account numbers.
type accounts struct {
	region string
	now    func() time.Time

	mu     sync.Mutex
	stores map[string]*store
}

// open returns the store of an account.
func (a *accounts) open(account string) *store {
	a.mu.Lock()
	defer a.mu.Unlock()
	st, ok := a.stores[account]
	if !ok {
		st = newStore(a.now, a.region, account)
		a.stores[account] = st
	}
	return st
}

// find is open for those who only have an account number.
func (a *accounts) find(account string) (*store, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	st, ok := a.stores[account]
	return st, ok
}

// prefix begins the ARNs of all KMS resources of an account.
func (a *accounts) prefix(account string) string {
	return "acs:kms:" + a.region + ":" + account + ":"
}

// split takes an ARN of our region apart, into the account and what the account has.
func (a *accounts) split(arn string) (account, resource string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "acs:kms:"+a.region+":")
	if !ok {
		return "", "", false
	}
	account, resource, ok = strings.Cut(rest, ":")
	return account, resource, ok && account != ""
}
