// A plugin of age for tests. It wraps a file key by a constant pad, which is no
// encryption at all, and opens only for the identity whose data is "good".
package main

import (
	"os"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

type key struct{ good bool }

func (k key) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: "kmsruntest", Body: pad(fileKey)}}, nil
}

func (k key) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == "kmsruntest" && k.good {
			return pad(s.Body), nil
		}
	}
	return nil, age.ErrIncorrectIdentity
}

func pad(in []byte) []byte {
	out := make([]byte, len(in))
	for i, b := range in {
		out[i] = b ^ 0x5a
	}
	return out
}

func main() {
	p, err := plugin.New("kmsruntest")
	if err != nil {
		panic(err)
	}
	p.HandleRecipient(func([]byte) (age.Recipient, error) { return key{}, nil })
	p.HandleIdentity(func(data []byte) (age.Identity, error) { return key{string(data) == "good"}, nil })
	p.HandleIdentityAsRecipient(func([]byte) (age.Recipient, error) { return key{}, nil })
	os.Exit(p.Main())
}
