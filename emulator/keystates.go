package emulator

import "time"

// ready tells why a key can't encrypt now, if it can't.
func (k *key) ready() error {
	switch k.state {
	case keyDisabled:
		return errKeyDisabled
	case keyDeleting:
		return errKeyDeleting
	case keyWaiting:
		return errKeyWaiting
	}
	return nil
}

// staying refuses what is not done to a key that is to be deleted.
func (k *key) staying() error {
	if k.state == keyDeleting {
		return errKeyDeleting
	}
	return nil
}

// enable turns a key on or off; both may be so already.
func (k *key) enable(on bool) error {
	if k.state == keyDeleting || k.state == keyWaiting {
		return errKeyState
	}
	k.state = keyDisabled
	if on {
		k.state = keyEnabled
	}
	return nil
}

// schedule begins the time after which the key is gone.
func (k *key) schedule(at time.Time) error {
	switch {
	case k.state == keyDeleting:
		return errKeyState
	case k.guarded:
		return errKeyGuarded
	}
	k.state, k.deleteAt = keyDeleting, at
	return nil
}

// cancel takes that back. The key is Enabled then, whatever it was before, unless it never had material.
func (k *key) cancel() error {
	if k.state != keyDeleting {
		return errKeyState
	}
	k.state, k.deleteAt = keyEnabled, time.Time{}
	if len(k.versions) == 0 {
		k.state = keyWaiting
	}
	return nil
}

// automate sets the interval of automatic rotation, or none. The first date counts from the last version; one that has
// passed is now.
func (k *key) automate(interval time.Duration) error {
	if err := k.ready(); err != nil {
		return err
	}
	if interval > 0 && !k.rotates() {
		return errKeyUnsupported
	}
	k.rotation.interval, k.rotation.next = interval, time.Time{}
	if interval > 0 {
		k.rotation.next = k.rotation.last.Add(interval)
	}
	return nil
}

// rotates tells whether a key can rotate by itself.
func (k *key) rotates() bool { return k.symmetric() && k.origin == originKMS }

// automatic is what DescribeKey calls the state of its rotation.
func (k *key) automatic() string {
	switch {
	case k.rotation.interval == 0:
		return "Disabled"
	case k.state != keyEnabled:
		return "Suspended"
	}
	return "Enabled"
}
