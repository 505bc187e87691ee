package emulator

import (
	"time"
)

const maxGuardedWhy = 8192 // characters; not documented

// altered answers an action that changes a key and has nothing to tell.
func (c call) altered(change func(*key) error) (any, error) {
	if err := c.store.alter(c.params["KeyId"], change); err != nil {
		return nil, err
	}
	return idReply{RequestID: c.requestID}, nil
}

// updateKeyDescription takes an empty description, which clears it, if the parameter is there.
func updateKeyDescription(c call) (any, error) {
	if _, given := c.params["Description"]; !given {
		return nil, missing("Description")
	}
	text, err := c.params.description()
	if err != nil {
		return nil, err
	}
	return c.altered(func(k *key) error {
		if err := k.staying(); err != nil {
			return err
		}
		k.description = text
		return nil
	})
}

func enableKey(c call) (any, error) { return c.altered(func(k *key) error { return k.enable(true) }) }

func disableKey(c call) (any, error) { return c.altered(func(k *key) error { return k.enable(false) }) }

// updateRotationPolicy without an interval keeps the one there is, which one generation of Terraform's provider counts on.
func updateRotationPolicy(c call) (any, error) {
	interval, err := c.params.keyInterval()
	if err != nil {
		return nil, err
	}
	return c.altered(func(k *key) error {
		if interval > 0 && c.params["RotationInterval"] == "" && k.rotation.interval > 0 {
			return k.automate(k.rotation.interval)
		}
		return k.automate(interval)
	})
}

// scheduleKeyDeletion has windows of 7 to 366 days; an older text says 30.
func scheduleKeyDeletion(c call) (any, error) {
	days, err := c.params.integer("PendingWindowInDays", 0, 7, 366)
	if err != nil {
		return nil, err
	}
	return c.altered(func(k *key) error { return k.schedule(c.store.now().Add(time.Duration(days) * day)) })
}

func cancelKeyDeletion(c call) (any, error) { return c.altered((*key).cancel) }

// setDeletionProtection names the key by ProtectedResourceArn or, since 2025, by KeyId; exactly one of them here.
func setDeletionProtection(c call) (any, error) {
	on, err := c.params.boolean("EnableDeletionProtection")
	if err != nil {
		return nil, err
	}
	ref, arn := c.params["KeyId"], c.params["ProtectedResourceArn"]
	switch {
	case ref == "" && arn == "":
		return nil, needed("ProtectedResourceArn")
	case ref != "" && arn != "":
		return nil, invalid("ProtectedResourceArn")
	}
	why := c.params["DeletionProtectionDescription"]
	if len(why) > maxGuardedWhy {
		return nil, invalid("DeletionProtectionDescription")
	}
	err = c.store.alter(ref+arn, func(k *key) error {
		if err := k.staying(); err != nil {
			return err
		}
		k.guarded, k.guardedWhy = on, why
		return nil
	})
	if err != nil {
		return nil, err
	}
	return idReply{RequestID: c.requestID}, nil
}

// defaultKeyPolicy is that of a key in an instance whose creator gave none.
func defaultKeyPolicy(account string) string {
	return `{"Version":"1","Statement":[{"Action":["kms:*"],"Resource":["*"],"Effect":"Allow","Principal":{"RAM":["acs:ram::` +
		account + `:*"]},"Sid":"kms default key policy"}]}`
}

func setKeyPolicy(c call) (any, error) {
	if err := c.params.checkPolicyName(); err != nil {
		return nil, err
	}
	p, err := parseOwnPolicy(c.params["Policy"])
	if err != nil {
		return nil, err
	}
	return c.altered(func(k *key) error {
		if k.instance == "" {
			return errNoOwnPolicy
		}
		if err := k.staying(); err != nil {
			return err
		}
		k.policy = p
		return nil
	})
}

func getKeyPolicy(c call) (any, error) {
	if err := c.params.checkPolicyName(); err != nil {
		return nil, err
	}
	k, err := c.store.describeKey(c.params["KeyId"])
	if err == nil && k.instance == "" {
		err = errNoOwnPolicy
	}
	if err != nil {
		return nil, err
	}
	return policyReply{Policy: k.policy.text, RequestID: c.requestID}, nil
}
