// Package emulator is a local Secrets Manager: an http.Handler that speaks the wire protocol of Alibaba Cloud KMS
// (RPC API 2016-01-20) from state in memory. It checks signatures as the real gateway does and answers with the same
// bodies, codes and statuses, so that a client which works here has been tried against more than its own ideas. For that
// reason it shares no code with the client. A seed file can fill it and, while watched, rotate its secrets.
//
// The behaviour is that of the API's documentation, its official SDKs, and answers that others published. Where these
// leave a point open or disagree, a comment says so and what was chosen.
package emulator

import (
	"cmp"
	"fmt"
	"time"

	"golang.org/x/time/rate"
)

// Config says whose Secrets Manager is emulated. The zero value of each field means its default.
type Config struct {
	Region          string           // part of ARNs; default cn-hangzhou
	AccountID       string           // of the default account; default 1000000000000001
	AccessKeyID     string           // the access key of that account's root; default emulator
	AccessKeySecret string           // signs the requests of AccessKeyID; default emulator-secret
	SessionLife     time.Duration    // of every session, whatever is asked for; default what is asked for
	ECSRole         string           // the role of the instance that /latest/ describes; default no such instance
	IMDSv1          bool             // lets /latest/ be read without a token
	RealQuotas      bool             // limits calls per second as KMS does; default no limits
	Now             func() time.Time // the clock of requests, and of the state until Advance; default time.Now
}

// Emulator answers requests to KMS and STS. It is safe for concurrent use.
type Emulator struct {
	account     string // the default one
	region      string
	ecsRole     string
	imdsV1      bool
	sessionLife time.Duration

	clock     *clock
	accounts  *accounts
	store     *store // of the default account
	directory *directory
	sealer    sealer
	nonces    nonces
	faults    faults
	quota     *quota // nil is no limits
	journal   journal
	keeper    *keeper // nil is memory only
}

// New returns an emulator without secrets.
func New(cfg Config) *Emulator {
	e := &Emulator{
		account:     cmp.Or(cfg.AccountID, "1000000000000001"),
		region:      cmp.Or(cfg.Region, "cn-hangzhou"),
		ecsRole:     cfg.ECSRole,
		imdsV1:      cfg.IMDSv1,
		sessionLife: cfg.SessionLife,
		clock:       &clock{real: cfg.Now},
		sealer:      newSealer(),
	}
	if e.clock.real == nil {
		e.clock.real = time.Now
	}
	if cfg.RealQuotas {
		e.quota = &quota{buckets: map[bucket]*rate.Limiter{}}
	}
	id := cmp.Or(cfg.AccessKeyID, "emulator")
	root := identity{kind: kindRoot, account: e.account, keyID: id, open: true}
	e.directory = &directory{open: true, keys: map[string]accessKey{
		id: {secret: cmp.Or(cfg.AccessKeySecret, "emulator-secret"), owner: root},
	}}
	e.accounts = &accounts{region: e.region, now: e.clock.now, stores: map[string]*store{}}
	e.store = e.accounts.open(e.account)
	return e
}

// Put makes data the ACSCurrent version of the named secret of the default account under versionID, and creates the
// secret when there is none: CreateSecret and PutSecretValue without a request. The limits are theirs: 192 characters of
// name, 64 of version id, 30720 bytes of UTF-8 text. It fails when versionID holds other data already or the secret is
// being deleted.
func (e *Emulator) Put(name, versionID string, data []byte) error {
	v := version{id: versionID, data: string(data), dataType: typeText}
	if err := e.commit(func() error { return e.store.set(name, v) }); err != nil {
		return fmt.Errorf("putting secret %q: %w", name, err)
	}
	return nil
}

// Delete removes the named secret at once, as DeleteSecret with ForceDeleteWithoutRecovery does, even when it is in its
// delete window. An unknown name is no error: the secret is gone either way.
func (e *Emulator) Delete(name string) error {
	return e.commit(func() error { e.store.remove(name); return nil })
}
