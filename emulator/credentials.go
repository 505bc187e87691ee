package emulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"time"
)

// The values of managed secrets, with their keys in the order of the samples.
type (
	accountValue struct {
		AccountName     string `json:"AccountName"`
		AccountPassword string `json:"AccountPassword"`
	}
	accessKeyValue struct {
		AccessKeyID       string `json:"AccessKeyId"`
		AccessKeySecret   string `json:"AccessKeySecret"`
		GenerateTimestamp string `json:"GenerateTimestamp"`
	}
	loginValue struct {
		UserName   string `json:"UserName"`
		Password   string `json:"Password,omitempty"`
		PublicKey  string `json:"PublicKey,omitempty"`
		PrivateKey string `json:"PrivateKey,omitempty"`
	}
)

// complete tells whether m has these keys and no others, all with text.
func complete(m map[string]string, keys ...string) bool {
	for _, key := range keys {
		if m[key] == "" {
			return false
		}
	}
	return len(m) == len(keys)
}

// parseList reads {"<key>":[{...}]} with one to most entries, each complete.
func parseList(sent, key string, most int, keys ...string) ([]map[string]string, bool) {
	var all map[string][]map[string]string
	if json.Unmarshal([]byte(sent), &all) != nil || len(all) != 1 || len(all[key]) == 0 || len(all[key]) > most {
		return nil, false
	}
	for _, one := range all[key] {
		if !complete(one, keys...) {
			return nil, false
		}
	}
	return all[key], true
}

// beginAccounts takes database accounts as they are. Of two, the first is current; a second that is not there is made
// by the first rotation.
func beginAccounts(most int) func(*managed, string, time.Time) (string, bool) {
	return func(m *managed, sent string, _ time.Time) (string, bool) {
		all, ok := parseList(sent, "Accounts", most, "AccountName", "AccountPassword")
		if !ok {
			return "", false
		}
		first := accountValue{all[0]["AccountName"], all[0]["AccountPassword"]}
		m.accounts = [2]string{first.AccountName, first.AccountName + cloneSuffix}
		if len(all) == 2 {
			m.accounts[1] = all[1]["AccountName"]
		}
		return compactJSON(first), m.accounts[0] != m.accounts[1]
	}
}

// beginAuto makes the accounts that the configuration names.
func beginAuto(m *managed, sent string, _ time.Time) (string, bool) {
	m.accounts = [2]string{m.extended.text("AccountName"), m.extended.text("CloneAccountName")}
	return compactJSON(accountValue{m.accounts[0], newPassword()}), sent == auto
}

func nextPassword(_ *managed, old string, _ time.Time) string {
	var a accountValue
	_ = json.Unmarshal([]byte(old), &a) // it is ours
	return compactJSON(accountValue{a.AccountName, newPassword()})
}

func nextAccount(m *managed, _ string, _ time.Time) string {
	m.accounts[0], m.accounts[1] = m.accounts[1], m.accounts[0]
	return compactJSON(accountValue{m.accounts[0], newPassword()})
}

// beginAccessKey takes the keys of a user, of whom RAM allows two. The first is current; the other goes unused.
func beginAccessKey(_ *managed, sent string, now time.Time) (string, bool) {
	all, ok := parseList(sent, "AccessKeys", 2, "AccessKeyId", "AccessKeySecret")
	if !ok {
		return "", false
	}
	return compactJSON(accessKeyValue{all[0]["AccessKeyId"], all[0]["AccessKeySecret"], stamp(now)}), true
}

func nextAccessKey(_ *managed, _ string, now time.Time) string {
	return compactJSON(accessKeyValue{"LTAI5t" + randomText(18, letters+digits), randomText(30, letters+digits), stamp(now)})
}

// beginLogin takes the account of a server as it is.
func beginLogin(keys ...string) func(*managed, string, time.Time) (string, bool) {
	return func(_ *managed, sent string, _ time.Time) (string, bool) {
		var m map[string]string
		ok := json.Unmarshal([]byte(sent), &m) == nil && complete(m, keys...)
		return compactJSON(loginValue{m["UserName"], m["Password"], m["PublicKey"], m["PrivateKey"]}), ok
	}
}

func nextLoginPassword(_ *managed, old string, _ time.Time) string {
	var l loginValue
	_ = json.Unmarshal([]byte(old), &l) // it is ours
	return compactJSON(loginValue{UserName: l.UserName, Password: newPassword()})
}

// nextKeyPair makes a key on P-256: OpenSSH reads its SEC 1 form, and unlike RSA it takes no time to make.
func nextKeyPair(_ *managed, old string, _ time.Time) string {
	var l loginValue
	_ = json.Unmarshal([]byte(old), &l) // it is ours
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.MarshalECPrivateKey(key) // neither fails for a curve of the library
	point, _ := key.PublicKey.Bytes()
	var wire []byte
	for _, field := range [][]byte{[]byte("ecdsa-sha2-nistp256"), []byte("nistp256"), point} {
		wire = binary.BigEndian.AppendUint32(wire, uint32(len(field)))
		wire = append(wire, field...)
	}
	return compactJSON(loginValue{
		UserName:   l.UserName,
		PublicKey:  "ecdsa-sha2-nistp256 " + base64.StdEncoding.EncodeToString(wire),
		PrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
	})
}
