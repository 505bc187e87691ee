package emulator

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// session is a role taken on. It is written in its own token, under a seal: the emulator remembers no sessions, so they
// take no memory, and an expired one is known as such however long ago it was.
type session struct {
	KeyID   string    `json:"k"`
	Account string    `json:"a"`
	Role    string    `json:"r"`
	Name    string    `json:"n"`
	Policy  string    `json:"p,omitempty"`
	Expires time.Time `json:"e"`
}

// sealer makes texts that only this emulator can have made. The zero value does not work: see newSealer.
type sealer struct{ key []byte }

func newSealer() sealer {
	s := sealer{key: make([]byte, 32)}
	_, _ = rand.Read(s.key) // never fails: the runtime ends the program instead
	return s
}

// mac separates uses by purpose, so that a text of one is none of another.
func (s sealer) mac(purpose, text string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(purpose + "\x00" + text))
	return mac.Sum(nil)
}

func (s sealer) seal(purpose, text string) string {
	return base64.StdEncoding.EncodeToString(append(s.mac(purpose, text), text...))
}

func (s sealer) open(purpose, sealed string) (string, bool) {
	raw, err := base64.StdEncoding.Strict().DecodeString(sealed)
	if err != nil || len(raw) < sha256.Size {
		return "", false
	}
	text := string(raw[sha256.Size:])
	return text, hmac.Equal(raw[:sha256.Size], s.mac(purpose, text))
}

// stsCredentials are what STS hands out.
type stsCredentials struct {
	AccessKeyID     string `json:"AccessKeyId"`
	AccessKeySecret string `json:"AccessKeySecret"`
	SecurityToken   string `json:"SecurityToken"`
	Expiration      string `json:"Expiration"`
}

const (
	sessionPurpose = "session"
	keyPurpose     = "secret of a session's key"
)

// begin starts a session of a role that has been granted.
func (e *Emulator) begin(s session, life time.Duration) stsCredentials {
	if e.sessionLife > 0 {
		life = e.sessionLife
	}
	s.KeyID = "STS.N" + rand.Text()
	s.Expires = e.clock.now().Add(life).UTC()
	text, _ := json.Marshal(s) // strings and a time of this era always encode
	return stsCredentials{
		AccessKeyID: s.KeyID, AccessKeySecret: e.sealer.sessionSecret(s.KeyID),
		SecurityToken: e.sealer.seal(sessionPurpose, string(text)), Expiration: stamp(s.Expires),
	}
}

func (s sealer) sessionSecret(keyID string) string {
	return hex.EncodeToString(s.mac(keyPurpose, keyID)[:20])
}

// holder finds who a key belongs to, and the secret that signs for him. A key of a session without its token is told to
// bring it; a permanent key is no session's. The status of the token's faults is open, 400 or 403.
func (e *Emulator) holder(keyID, token string) (identity, string, error) {
	if token == "" {
		key, ok := e.directory.keys[keyID]
		switch {
		case ok:
			return key.owner, key.secret, nil
		case strings.HasPrefix(keyID, "STS."):
			return identity{}, "", missing("SecurityToken")
		}
		return identity{}, "", errAccessKey
	}
	text, ok := e.sealer.open(sessionPurpose, token)
	var s session
	if !ok || json.Unmarshal([]byte(text), &s) != nil {
		return identity{}, "", errSecurityToken
	}
	if s.KeyID != keyID {
		return identity{}, "", errTokenMismatch
	}
	if !e.clock.now().Before(s.Expires) {
		return identity{}, "", errTokenExpired
	}
	id, ok := e.directory.assumed(s)
	if !ok {
		return identity{}, "", errSecurityToken
	}
	return id, e.sealer.sessionSecret(keyID), nil
}
