package emulator

import (
	"net/http"
)

const maxPolicy = 32768 // bytes

// ownPolicy is the policy of a secret, as it was sent and as it is evaluated.
type ownPolicy struct {
	text string
	policy
}

// effective are the actions that a secret's policy can allow or deny, however much it names. SetSecretPolicy is not among
// them, so that nobody locks himself out.
var effective = []string{
	"kms:List*", "kms:Describe*", "kms:PutSecretValue", "kms:Update*", "kms:DeleteSecret", "kms:RestoreSecret",
	"kms:RotateSecret", "kms:TagResource", "kms:UntagResource", "kms:GetSecretValue",
}

// parseOwnPolicy reads the policy of a secret. Its resource is the secret, so it may only say "*".
func parseOwnPolicy(text string) (ownPolicy, error) {
	if len(text) > maxPolicy {
		return ownPolicy{}, invalid("Policy")
	}
	parsed, err := parsePolicy(text, secretPolicy)
	if err != nil {
		// The reason goes along, unlike at KMS: it holds nothing of the policy but names of conditions.
		return ownPolicy{}, &fault{http.StatusBadRequest, "InvalidParameter", `The specified parameter "Policy" is not valid: ` + err.Error() + ".", false}
	}
	for _, s := range parsed.statements {
		if len(s.resources) != 1 || s.resources[0] != "*" {
			return ownPolicy{}, invalid("Policy")
		}
	}
	return ownPolicy{text: text, policy: parsed}, nil
}

// judge asks the policy of a secret; a secret without one, or that is not there, is silent.
func (p ownPolicy) judge(q question) verdict {
	if !matchesAny(effective, q.action) {
		return silent
	}
	return p.policy.judge(q)
}

// setPolicy gives a secret its policy.
func (st *store) setPolicy(ref string, p ownPolicy) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.usable(ref)
	if err != nil {
		return err
	}
	if s.instance == "" {
		return errNoOwnPolicy
	}
	s.policy = p
	return nil
}

// policy returns that of a secret; in the delete window too, as descriptions do.
func (st *store) policy(ref string) (ownPolicy, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	s, err := st.find(ref)
	if err != nil {
		return ownPolicy{}, err
	}
	return s.policy, nil
}

type idReply struct {
	RequestID string `json:"RequestId"`
}

type policyReply struct {
	Policy    string `json:"Policy"`
	RequestID string `json:"RequestId"`
}

// checkPolicyName knows one policy per secret.
func (p params) checkPolicyName() error {
	if name := p["PolicyName"]; name != "" && name != "default" {
		return errNotFound
	}
	return nil
}

func setSecretPolicy(c call) (any, error) {
	if err := c.params.checkPolicyName(); err != nil {
		return nil, err
	}
	p, err := parseOwnPolicy(c.params["Policy"])
	if err != nil {
		return nil, err
	}
	if err := c.store.setPolicy(c.params["SecretName"], p); err != nil {
		return nil, err
	}
	return idReply{RequestID: c.requestID}, nil
}

// getSecretPolicy finds nothing where none was set (undocumented; Terraform takes that for an empty policy).
func getSecretPolicy(c call) (any, error) {
	if err := c.params.checkPolicyName(); err != nil {
		return nil, err
	}
	p, err := c.store.policy(c.params["SecretName"])
	if err == nil && p.text == "" {
		err = errNotFound
	}
	if err != nil {
		return nil, err
	}
	return policyReply{Policy: p.text, RequestID: c.requestID}, nil
}
