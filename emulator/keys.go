package emulator

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	minKeyInterval = 7 * day
	maxDescription = 8192 // characters, of a key
)

// symmetric are the specifications of keys that can protect secrets.
var symmetric = []string{"Aliyun_AES_256", "Aliyun_AES_192", "Aliyun_AES_128", "Aliyun_SM4"}

// key is a symmetric key that is Enabled, as every one is so far. It has no material: nothing is encrypted.
type key struct {
	id, version, description   string
	spec, protection, instance string
	created                    time.Time
	rotation                   rotation
	tags                       []tag
}

// addKey stores a key.
func (st *store) addKey(k key) key {
	st.mu.Lock()
	defer st.mu.Unlock()
	k.created = st.now()
	if k.rotation.interval > 0 {
		k.rotation.next = k.created.Add(k.rotation.interval)
	}
	st.keys[k.id] = &k
	return k
}

// hasKey tells whether an id is taken.
func (st *store) hasKey(id string) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.keys[id] != nil
}

// describeKey returns a copy.
func (st *store) describeKey(ref string) (key, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	k, err := st.key(ref)
	if err != nil {
		return key{}, err
	}
	return *k, nil
}

// key resolves an id or ARN, and makes the rotation that is due: a new version, the last of those missed.
func (st *store) key(ref string) (*key, error) {
	if strings.HasPrefix(ref, "alias/") {
		return nil, errAliasNotFound // there are no aliases
	}
	k := st.keys[strings.TrimPrefix(ref, st.keyARN)]
	if k == nil {
		return nil, errKeyNotFound
	}
	if r := &k.rotation; r.interval > 0 && !r.next.After(st.now()) {
		r.last = r.next.Add(st.now().Sub(r.next) / r.interval * r.interval)
		r.next = r.last.Add(r.interval)
		k.version = newRequestID()
	}
	return k, nil
}

type keyMetadata struct {
	KeyID              string `json:"KeyId"`
	Arn                string `json:"Arn"`
	KeyState           string `json:"KeyState"`
	KeySpec            string `json:"KeySpec"`
	KeyUsage           string `json:"KeyUsage"`
	Origin             string `json:"Origin"`
	ProtectionLevel    string `json:"ProtectionLevel"`
	PrimaryKeyVersion  string `json:"PrimaryKeyVersion"`
	Description        string `json:"Description"`
	Creator            string `json:"Creator"`
	CreationDate       string `json:"CreationDate"`
	DeleteDate         string `json:"DeleteDate"`
	MaterialExpireTime string `json:"MaterialExpireTime"`
	AutomaticRotation  string `json:"AutomaticRotation"`
	RotationInterval   string `json:"RotationInterval,omitempty"`
	LastRotationDate   string `json:"LastRotationDate,omitempty"`
	NextRotationDate   string `json:"NextRotationDate,omitempty"`
	DKMSInstanceID     string `json:"DKMSInstanceId,omitempty"`
	DeletionProtection string `json:"DeletionProtection,omitempty"`
}

type keyReply struct {
	KeyMetadata keyMetadata `json:"KeyMetadata"`
	RequestID   string      `json:"RequestId"`
}

func (c call) keyReply(k key, protection string) keyReply {
	m := keyMetadata{
		KeyID: k.id, Arn: c.store.keyARN + k.id, KeyState: "Enabled", KeySpec: k.spec, KeyUsage: "ENCRYPT/DECRYPT",
		Origin: "Aliyun_KMS", ProtectionLevel: k.protection, PrimaryKeyVersion: k.version, Description: k.description,
		Creator: c.store.account, CreationDate: stamp(k.created), AutomaticRotation: "Disabled",
		DKMSInstanceID: k.instance, DeletionProtection: protection,
	}
	if k.rotation.interval > 0 {
		m.AutomaticRotation, m.RotationInterval = "Enabled", seconds(k.rotation.interval)
		m.LastRotationDate, m.NextRotationDate = date(k.rotation.last), date(k.rotation.next)
	}
	return keyReply{KeyMetadata: m, RequestID: c.requestID}
}

// createKey makes symmetric keys only, with material of KMS.
func createKey(c call) (any, error) {
	k := newKey(newRequestID(), c.params["Description"])
	for _, option := range []struct {
		name   string
		into   *string
		values []string
	}{
		{"KeySpec", &k.spec, symmetric},
		{"ProtectionLevel", &k.protection, []string{"SOFTWARE", "HSM"}},
		{"KeyUsage", nil, []string{"ENCRYPT/DECRYPT"}},
		{"Origin", nil, []string{"Aliyun_KMS"}},
	} {
		value := c.params[option.name]
		if value != "" && !slices.Contains(option.values, value) {
			return nil, invalid(option.name)
		}
		if value != "" && option.into != nil {
			*option.into = value
		}
	}
	if utf8.RuneCountInString(k.description) > maxDescription {
		return nil, invalid("Description")
	}
	var err error
	if k.tags, err = parseTags(c.params["Tags"]); err != nil {
		return nil, err
	}
	if c.params["RotationInterval"] == "" {
		c.params["RotationInterval"] = "365d"
	}
	if k.rotation.interval, err = c.params.interval(minKeyInterval, maxInterval); err != nil {
		return nil, err
	}
	k.instance = c.params["DKMSInstanceId"]
	return c.keyReply(c.store.addKey(k), ""), nil
}

func newKey(id, description string) key {
	return key{id: id, version: newRequestID(), description: description, spec: symmetric[0], protection: "SOFTWARE"}
}

func describeKey(c call) (any, error) {
	k, err := c.store.describeKey(c.params["KeyId"])
	if err != nil {
		return nil, err
	}
	return c.keyReply(k, "Disabled"), nil
}
