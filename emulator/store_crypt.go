package emulator

// keyFor is the key of a secret, if it can be used now. Without it nothing of the secret can be read or written.
func (st *store) keyFor(f *facts) (*key, error) {
	if f.key == "" {
		return &st.service, nil
	}
	k, err := st.key(f.key)
	if err != nil {
		return nil, err
	}
	if !k.symmetric() {
		return nil, invalid("EncryptionKeyId")
	}
	return k, k.ready()
}

// binding ties the data of a version to its place: nobody can give the value of one secret to another.
func (f *facts) binding(id string) binding {
	return binding{"acs:kms:secret": f.name, "acs:kms:version": id}
}

// close puts the data under the key. What is stored has no other form.
func (v *version) close(k *key, f *facts) {
	v.sealed = k.seal([]byte(v.data), f.binding(v.id))
	v.data = ""
}

// reveal is the data of a stored version.
func (v *version) reveal(k *key, f *facts) (string, error) {
	b, err := parseBlob(v.sealed)
	if err != nil {
		return "", err
	}
	plain, err := k.open(b, f.binding(v.id))
	return string(plain), err
}
