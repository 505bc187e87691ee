package emulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

type createReply struct {
	Arn            string `json:"Arn"`
	SecretName     string `json:"SecretName"`
	VersionID      string `json:"VersionId"`
	SecretType     string `json:"SecretType"`
	DKMSInstanceID string `json:"DKMSInstanceId,omitempty"`
	rotationReply
	RequestID string `json:"RequestId"`
}

func createSecret(c call) (any, error) {
	d, err := c.draft()
	if err != nil {
		return nil, creationFault(err)
	}
	s, err := c.store.create(d)
	if err != nil {
		return nil, creationFault(err)
	}
	return createReply{
		Arn: c.store.arn + s.name, SecretName: s.name, VersionID: d.version.id, SecretType: s.kind,
		DKMSInstanceID: s.instance, rotationReply: s.rotationReply(true), RequestID: c.requestID,
	}, nil
}

// creationFault has the words of this action. A key that is not there is told as any resource is.
func creationFault(err error) error {
	f := asFault(err)
	switch {
	case f.code == errCreate.code:
		return errCreate
	case errors.Is(f, errKeyNotFound), errors.Is(f, errAliasNotFound):
		return errCreateFound
	}
	return err
}

// draft reads the parameters of a new secret. For a generic one, those of rotation have no effect, as the API says.
func (c call) draft() (draft, error) {
	p := c.params
	d := draft{version: c.version()}
	d.facts = facts{
		name: p["SecretName"], kind: cmp.Or(p["SecretType"], kindGeneric), description: p["Description"],
		key: p["EncryptionKeyId"], instance: p["DKMSInstanceId"],
	}
	if !isKind(d.kind) {
		return d, invalid("SecretType")
	}
	if d.instance != "" && !validID(d.instance) {
		return d, invalid("DKMSInstanceId")
	}
	var err error
	if text := p["Policy"]; text != "" {
		if d.instance == "" {
			return d, invalid("Policy")
		}
		if d.policy, err = parseOwnPolicy(text); err != nil {
			return d, err
		}
	}
	if d.tags, err = parseTags(p["Tags"]); err != nil {
		return d, err
	}
	if d.kind == kindGeneric {
		if text := p["ExtendedConfig"]; text != "" && (utf8.RuneCountInString(text) > maxExtended || !isObject(text)) {
			return d, invalid("ExtendedConfig")
		}
		_, err = p.boolean("EnableAutomaticRotation")
		return d, err
	}
	if d.managed.extended, d.managed.subtype, err = parseExtended(d.kind, p["ExtendedConfig"]); err != nil {
		return d, err
	}
	d.managed.sent = p["ExtendedConfig"]
	if d.interval, err = p.interval(minInterval, maxInterval); err != nil {
		return d, err
	}
	return d, d.nameUser()
}

// nameUser gives the secret of a RAM user its name, which the caller must leave to KMS.
func (d *draft) nameUser() error {
	if d.kind != kindRAM {
		return nil
	}
	user := d.managed.extended.text("UserName")
	if d.name != auto || strings.Contains(user, "/") {
		return invalid("SecretName")
	}
	d.name = "acs/ram/user/" + user
	return nil
}

func isObject(text string) bool {
	var object map[string]any
	return json.Unmarshal([]byte(text), &object) == nil && object != nil
}

// version is the version that a request brings along.
func (c call) version() version {
	return version{
		id:       c.params["VersionId"],
		data:     c.params["SecretData"],
		dataType: cmp.Or(c.params["SecretDataType"], typeText),
	}
}
