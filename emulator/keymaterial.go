package emulator

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"slices"
)

const (
	materialSize = 32 // every symmetric key is AES-256 inside, whatever its specification says
	blobFormat   = 1
	nonceSize    = 12
)

func newMaterial() []byte { return randomBytes(materialSize) }

// randomBytes never fails: the runtime ends the program instead.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// binding is what a ciphertext is bound to: it opens with the same pairs only, in whatever order they are given.
type binding map[string]string

// seal encrypts with the last version of the key, by AES-256-GCM. The ciphertext begins with the names of key and
// version, which are authenticated, and so is the context:
//
//	format (1 byte), length and id of the key, length and id of the version, nonce (12 bytes), ciphertext with its tag
func (k *key) seal(plain []byte, bound binding) []byte {
	v := k.versions[len(k.versions)-1]
	blob := []byte{blobFormat, byte(len(k.id))}
	blob = append(blob, k.id...)
	blob = append(blob, byte(len(v.id)))
	blob = append(blob, v.id...)
	extra := bound.with(blob)
	nonce := randomBytes(nonceSize)
	return v.gcm().Seal(append(blob, nonce...), nonce, plain, extra)
}

// open decrypts what seal made with any version of the key.
func (k *key) open(b blob, bound binding) ([]byte, error) {
	at := slices.IndexFunc(k.versions, func(v keyVersion) bool { return v.id == b.version })
	if at < 0 || len(k.versions[at].material) != materialSize {
		return nil, errCiphertext
	}
	plain, err := k.versions[at].gcm().Open(nil, b.nonce, b.sealed, bound.with(b.head))
	if err != nil {
		return nil, errCiphertext
	}
	return plain, nil
}

func (v keyVersion) gcm() cipher.AEAD {
	block, err := aes.NewCipher(v.material)
	if err != nil {
		panic(err) // material is of the right size from its making, and from its reading
	}
	aead, _ := cipher.NewGCM(block) // never fails for AES
	return aead
}

// with is the data that is authenticated besides the plaintext. An empty one is as none.
func (c binding) with(head []byte) []byte {
	if len(c) == 0 {
		return slices.Clip(head)
	}
	pairs, _ := json.Marshal(c) // keys sorted; texts always encode
	return append(slices.Clip(head), pairs...)
}

// blob is a ciphertext, taken apart.
type blob struct {
	key, version        string
	head, nonce, sealed []byte
}

// parseBlob takes a ciphertext of seal apart; whether it is genuine only the key can tell.
func parseBlob(text []byte) (blob, error) {
	rest := text
	take := func(n int) []byte {
		if n > len(rest) {
			rest = nil
			return nil
		}
		part := rest[:n]
		rest = rest[n:]
		return part
	}
	size := func() int {
		if b := take(1); len(b) == 1 {
			return int(b[0])
		}
		return 0
	}
	format := size()
	id := take(size())
	version := take(size())
	head := text[:len(text)-len(rest)]
	nonce := take(nonceSize)
	if format != blobFormat || len(id) == 0 || len(version) == 0 || len(nonce) != nonceSize || len(rest) == 0 {
		return blob{}, errCiphertext
	}
	return blob{key: string(id), version: string(version), head: head, nonce: nonce, sealed: rest}, nil
}
