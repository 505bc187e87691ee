package emulator

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	usageEncrypt   = "ENCRYPT/DECRYPT"
	usageSign      = "SIGN/VERIFY"
	originKMS      = "Aliyun_KMS"
	originExternal = "EXTERNAL"

	minKeyInterval = 7 * day
	maxDescription = 8192 // characters, of a key
)

var (
	// symmetric are the specifications of keys that encrypt, and so can protect secrets.
	symmetric = []string{"Aliyun_AES_256", "Aliyun_AES_192", "Aliyun_AES_128", "Aliyun_SM4"}
	// asymmetric are the others, with their uses, the first of which is the default.
	asymmetric = map[string][]string{
		"RSA_2048": {usageEncrypt, usageSign},
		"RSA_3072": {usageEncrypt, usageSign},
		"EC_P256":  {usageSign},
		"EC_P256K": {usageSign},
		"EC_SM2":   {usageEncrypt, usageSign},
	}
)

type keyMetadata struct {
	KeyID                         string `json:"KeyId"`
	Arn                           string `json:"Arn"`
	KeyState                      string `json:"KeyState"`
	KeySpec                       string `json:"KeySpec"`
	KeyUsage                      string `json:"KeyUsage"`
	Origin                        string `json:"Origin"`
	ProtectionLevel               string `json:"ProtectionLevel"`
	PrimaryKeyVersion             string `json:"PrimaryKeyVersion,omitempty"`
	Description                   string `json:"Description"`
	Creator                       string `json:"Creator"`
	CreationDate                  string `json:"CreationDate"`
	DeleteDate                    string `json:"DeleteDate"`
	MaterialExpireTime            string `json:"MaterialExpireTime"`
	AutomaticRotation             string `json:"AutomaticRotation"`
	RotationInterval              string `json:"RotationInterval,omitempty"`
	LastRotationDate              string `json:"LastRotationDate,omitempty"`
	NextRotationDate              string `json:"NextRotationDate,omitempty"`
	DKMSInstanceID                string `json:"DKMSInstanceId,omitempty"`
	DeletionProtection            string `json:"DeletionProtection,omitempty"`
	DeletionProtectionDescription string `json:"DeletionProtectionDescription,omitempty"`
}

type keyReply struct {
	KeyMetadata keyMetadata `json:"KeyMetadata"`
	RequestID   string      `json:"RequestId"`
}

// keyReply tells of the deletion protection only when a key is described.
func (c call) keyReply(k key, described bool) keyReply {
	m := keyMetadata{
		KeyID: k.id, Arn: c.store.prefix + "key/" + k.id, KeyState: string(k.state), KeySpec: k.spec, KeyUsage: k.usage,
		Origin: k.origin, ProtectionLevel: k.protection, Description: k.description, Creator: c.store.account,
		CreationDate: stamp(k.created), DeleteDate: date(k.deleteAt), AutomaticRotation: k.automatic(),
		LastRotationDate: date(k.rotation.last), DKMSInstanceID: k.instance,
	}
	if k.symmetric() && len(k.versions) > 0 {
		m.PrimaryKeyVersion = k.versions[len(k.versions)-1].id
	}
	if k.rotation.interval > 0 {
		m.RotationInterval, m.NextRotationDate = seconds(k.rotation.interval), date(k.rotation.next)
	}
	if described {
		m.DeletionProtection, m.DeletionProtectionDescription = "Disabled", k.guardedWhy
		if k.guarded {
			m.DeletionProtection = "Enabled"
		}
	}
	return keyReply{KeyMetadata: m, RequestID: c.requestID}
}

// oneOf reads a parameter that has few values, the first of which is the default.
func (p params) oneOf(name string, values ...string) (string, error) {
	switch value := p[name]; {
	case value == "":
		return values[0], nil
	case slices.Contains(values, value):
		return value, nil
	}
	return "", invalid(name)
}

func createKey(c call) (any, error) {
	k, err := c.keyKind()
	if err != nil {
		return nil, err
	}
	p := c.params
	if k.description, err = p.description(); err != nil {
		return nil, err
	}
	if k.protection, err = p.oneOf("ProtectionLevel", "SOFTWARE", "HSM"); err != nil {
		return nil, err
	}
	if k.tags, err = p.keyTags(); err != nil {
		return nil, err
	}
	if k.rotation.interval, err = p.keyInterval(); err != nil {
		return nil, err
	}
	if k.rotation.interval > 0 && !k.rotates() {
		return nil, invalid("EnableAutomaticRotation")
	}
	if k.instance = p["DKMSInstanceId"]; k.instance != "" && !validID(k.instance) {
		return nil, invalid("DKMSInstanceId")
	}
	text := p["Policy"]
	switch {
	case text != "" && k.instance == "":
		return nil, invalid("Policy")
	case text == "" && k.instance != "":
		text = defaultKeyPolicy(c.store.account)
	}
	if text != "" {
		if k.policy, err = parseOwnPolicy(text); err != nil {
			return nil, err
		}
	}
	return c.keyReply(c.store.addKey(k), false), nil
}

// keyKind reads the parameters that depend on each other: what the key is for, and whose its material is.
func (c call) keyKind() (key, error) {
	k := newKey(newRequestID(), "")
	uses, other := asymmetric[c.params["KeySpec"]]
	if other {
		k.spec = c.params["KeySpec"]
	} else {
		uses = []string{usageEncrypt}
	}
	var err error
	if !other {
		if k.spec, err = c.params.oneOf("KeySpec", symmetric...); err != nil {
			return k, err
		}
	}
	if k.usage, err = c.params.oneOf("KeyUsage", uses...); err != nil {
		return k, err
	}
	origins := []string{originKMS, originExternal}
	if other {
		origins = origins[:1]
	}
	if k.origin, err = c.params.oneOf("Origin", origins...); err != nil {
		return k, err
	}
	if k.origin == originExternal {
		k.state = keyWaiting
	}
	return k, nil
}

// keyTags reads the parameter Tags, JSON, or what one generation of Terraform's provider makes of it: a parameter
// Tags.KEY for each tag. Whether KMS takes those is not known.
func (p params) keyTags() ([]tag, error) {
	if p["Tags"] != "" {
		return parseTags(p["Tags"])
	}
	var all []tag
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if key, ok := strings.CutPrefix(name, "Tags."); ok {
			all = append(all, tag{key, p[name]})
		}
	}
	return all, checkTags(all, "Tags")
}

func (p params) description() (string, error) {
	if utf8.RuneCountInString(p["Description"]) > maxDescription {
		return "", invalid("Description")
	}
	return p["Description"], nil
}

// keyInterval is the interval of a key's rotation: a year unless given.
func (p params) keyInterval() (time.Duration, error) {
	enabled, err := p.boolean("EnableAutomaticRotation")
	if err != nil || !enabled {
		return 0, err
	}
	if p["RotationInterval"] == "" {
		return 365 * day, nil
	}
	return parseInterval(p["RotationInterval"], minKeyInterval, maxInterval)
}

func describeKey(c call) (any, error) {
	k, err := c.store.describeKey(c.params["KeyId"])
	if err != nil {
		return nil, err
	}
	return c.keyReply(k, true), nil
}

type listedKey struct {
	KeyID  string `json:"KeyId"`
	KeyArn string `json:"KeyArn"`
}

type keyList struct {
	Key []listedKey `json:"Key"`
}

type keysReply struct {
	Keys       keyList `json:"Keys"`
	PageNumber int     `json:"PageNumber"`
	PageSize   int     `json:"PageSize"`
	TotalCount int     `json:"TotalCount"`
	RequestID  string  `json:"RequestId"`
}

func listKeys(c call) (any, error) {
	number, size, err := c.params.paging(10)
	if err != nil {
		return nil, err
	}
	filters, err := parseFilters(c.params["Filters"], (&key{}).filtered)
	if err != nil {
		return nil, err
	}
	shown, total := c.store.listKeys(filters, number, size)
	reply := keysReply{PageNumber: number, PageSize: size, TotalCount: total, RequestID: c.requestID}
	reply.Keys.Key = []listedKey{}
	for _, k := range shown {
		reply.Keys.Key = append(reply.Keys.Key, listedKey{KeyID: k.id, KeyArn: c.store.prefix + "key/" + k.id})
	}
	return reply, nil
}
