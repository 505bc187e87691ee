package emulator

import (
	"encoding/base64"
	"encoding/json"
)

const (
	maxPlaintext = 6 << 10 // bytes
	maxDataKey   = 1024
)

// dataKeySizes are the lengths of data keys by their specification, in bytes.
var dataKeySizes = map[string]int{"AES_256": 32, "AES_128": 16}

type cipherReply struct {
	CiphertextBlob string `json:"CiphertextBlob,omitempty"`
	KeyID          string `json:"KeyId"`
	KeyVersionID   string `json:"KeyVersionId"`
	Plaintext      string `json:"Plaintext,omitempty"`
	RequestID      string `json:"RequestId"`
}

// binding reads the parameter EncryptionContext, a JSON object of texts.
func (p params) binding() (binding, error) {
	text := p["EncryptionContext"]
	if text == "" {
		return nil, nil
	}
	var pairs binding
	if exactKeys(text) != nil || json.Unmarshal([]byte(text), &pairs) != nil || pairs == nil {
		return nil, invalid("EncryptionContext")
	}
	return pairs, nil
}

// encryptor is the key of a request, if it can encrypt.
func (c call) encryptor() (key, error) {
	k, err := c.store.describeKey(c.params["KeyId"])
	if err != nil {
		return k, err
	}
	if !k.symmetric() {
		return k, errKeyUnsupported
	}
	return k, k.ready()
}

func encrypt(c call) (any, error) {
	plain, err := base64.StdEncoding.DecodeString(c.params["Plaintext"])
	if err != nil || len(plain) == 0 || len(plain) > maxPlaintext {
		return nil, invalid("Plaintext")
	}
	return c.sealed(plain)
}

func (c call) sealed(plain []byte) (cipherReply, error) {
	bound, err := c.params.binding()
	if err != nil {
		return cipherReply{}, err
	}
	k, err := c.encryptor()
	if err != nil {
		return cipherReply{}, err
	}
	return cipherReply{
		CiphertextBlob: base64.StdEncoding.EncodeToString(k.seal(plain, bound)),
		KeyID:          k.id, KeyVersionID: k.versions[len(k.versions)-1].id, RequestID: c.requestID,
	}, nil
}

// newDataKey makes a data key of NumberOfBytes or, without it, of the length that KeySpec says.
func (c call) newDataKey() ([]byte, error) {
	spec, err := c.params.oneOf("KeySpec", "AES_256", "AES_128")
	if err != nil {
		return nil, err
	}
	n, err := c.params.integer("NumberOfBytes", dataKeySizes[spec], 1, maxDataKey)
	if err != nil {
		return nil, err
	}
	return randomBytes(n), nil
}

func generateDataKey(c call) (any, error) {
	plain, err := c.newDataKey()
	if err != nil {
		return nil, err
	}
	reply, err := c.sealed(plain)
	if err != nil {
		return nil, err
	}
	reply.Plaintext = base64.StdEncoding.EncodeToString(plain)
	return reply, nil
}

func generateDataKeyWithoutPlaintext(c call) (any, error) {
	plain, err := c.newDataKey()
	if err != nil {
		return nil, err
	}
	reply, err := c.sealed(plain)
	if err != nil {
		return nil, err
	}
	return reply, nil
}

func decrypt(c call) (any, error) {
	b, err := c.params.blob()
	if err != nil {
		return nil, err
	}
	bound, err := c.params.binding()
	if err != nil {
		return nil, err
	}
	k, err := c.store.describeKey(b.key)
	if err == nil {
		err = k.ready()
	}
	if err != nil {
		return nil, err
	}
	plain, err := k.open(b, bound)
	if err != nil {
		return nil, err
	}
	return cipherReply{
		KeyID: k.id, KeyVersionID: b.version, Plaintext: base64.StdEncoding.EncodeToString(plain), RequestID: c.requestID,
	}, nil
}

// blob reads the parameter CiphertextBlob. It may name a key by its id only.
func (p params) blob() (blob, error) {
	text, err := base64.StdEncoding.DecodeString(p["CiphertextBlob"])
	if err != nil {
		return blob{}, errCiphertext
	}
	b, err := parseBlob(text)
	if err == nil && !validName(b.key) {
		err = errCiphertext
	}
	return b, err
}
