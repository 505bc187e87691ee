package emulator

// keyUse is what a caller needs on the key of his choice that encrypts a secret, besides the action itself.
var keyUse = map[string]string{
	"CreateSecret":   "kms:GenerateDataKey",
	"PutSecretValue": "kms:GenerateDataKey",
	"GetSecretValue": "kms:Decrypt",
}

// authorizeKey asks the caller's policies about the key of a secret. Reads with a session are not asked: the shared
// gateway wants kms:GetSecretValue alone of those. The policies of keys decide nothing here.
func (e *Emulator) authorizeKey(op operation, caller identity, t subject, r *request) error {
	use, ok := keyUse[op.name]
	if !ok || e.directory.open && caller.limit == nil || op.name == "GetSecretValue" && caller.kind == kindRole {
		return nil
	}
	key := r.params["EncryptionKeyId"]
	if st, ok := e.accounts.find(t.account); ok && op.name != "CreateSecret" {
		key = st.keyOf(t.secret)
	}
	if key == "" {
		return nil // the service's own, which nobody needs leave for
	}
	key = e.accounts.one(t.account, tagged{tagKey, key}).resource
	q := question{action: use, resource: key, principals: caller.principals(), at: e.circumstances(r)}
	if caller.judge(q) != allowed {
		return deniedFault(op.name)
	}
	return nil
}

// keyOf is the id of the key that a secret's creator chose; empty if he did not, or there is no such secret.
func (st *store) keyOf(secret string) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.find(secret)
	if err != nil {
		return ""
	}
	return s.key
}
