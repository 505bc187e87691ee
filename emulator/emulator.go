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
)

// Config says whose Secrets Manager is emulated. The zero value of each field means its default.
type Config struct {
	Region          string           // part of ARNs; default cn-hangzhou
	AccountID       string           // part of ARNs; default 1000000000000001
	AccessKeyID     string           // the one known access key; default emulator
	AccessKeySecret string           // signs the requests of AccessKeyID; default emulator-secret
	Now             func() time.Time // the clock of signatures, timestamps and delete windows; default time.Now
}

// Emulator answers KMS requests. It is safe for concurrent use.
type Emulator struct {
	keyID, keySecret string
	store            *store
}

// New returns an emulator without secrets.
func New(cfg Config) *Emulator {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	region := cmp.Or(cfg.Region, "cn-hangzhou")
	account := cmp.Or(cfg.AccountID, "1000000000000001")
	return &Emulator{
		keyID:     cmp.Or(cfg.AccessKeyID, "emulator"),
		keySecret: cmp.Or(cfg.AccessKeySecret, "emulator-secret"),
		store:     newStore(now, region, account),
	}
}

// Put makes data the ACSCurrent version of the named secret under versionID, and creates the secret when there is none:
// CreateSecret and PutSecretValue without a request. The limits are theirs: 192 characters of name, 64 of version id,
// 30720 bytes of UTF-8 text. It fails when versionID holds other data already or the secret is being deleted.
func (e *Emulator) Put(name, versionID string, data []byte) error {
	v := version{id: versionID, data: string(data), dataType: typeText}
	if err := e.store.set(name, v); err != nil {
		return fmt.Errorf("putting secret %q: %w", name, err)
	}
	return nil
}

// Delete removes the named secret at once, as DeleteSecret with ForceDeleteWithoutRecovery does, even when it is in its
// delete window. An unknown name is no error: the secret is gone either way.
func (e *Emulator) Delete(name string) {
	e.store.remove(name)
}
