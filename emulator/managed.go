package emulator

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	kindGeneric = "Generic"
	kindRAM     = "RAMCredentials"
	kindECS     = "ECS"

	auto        = "$Auto" // what a client sends where KMS chooses
	cloneSuffix = "_clone"
	keyOverlap  = 48 * time.Hour // how long the access key before the current one goes on working
)

// managed is what a secret has that KMS rotates. That of a generic secret is the zero value.
type managed struct {
	subtype  subtype
	extended extended
	sent     string    // the ExtendedConfig as it was sent, while it is still true
	accounts [2]string // the account of the current version and the one whose turn is next; none where there is one only
	overlap  time.Time // until when the replaced access key works; zero when there is none
	rotation rotation
}

// config is the ExtendedConfig as answers have it: as it was sent, so that Terraform finds what it asked for; once UpdateSecret
// has changed it, compact with sorted keys.
func (m *managed) config() string { return cmp.Or(m.sent, m.extended.String()) }

// subtype is one subtype of managed secrets: what its configuration must have, how the first value comes from the
// SecretData of CreateSecret, and how the next comes from the one before.
type subtype struct {
	required []string // keys of ExtendedConfig besides SecretSubType; "a|b" is either of them
	optional []string
	overlap  time.Duration
	begin    func(m *managed, sent string, now time.Time) (value string, ok bool)
	next     func(m *managed, old string, now time.Time) string
}

// subtypes are all of them, by "SecretType SecretSubType". Documents disagree on how PolarDB names its cluster and its
// database, so both ways are taken.
var subtypes = map[string]subtype{
	"Rds SingleUser": {
		required: []string{"DBInstanceId"},
		begin:    beginAccounts(1), next: nextPassword,
	},
	"Rds DoubleUsers": {
		required: []string{"DBInstanceId"},
		begin:    beginAccounts(2), next: nextAccount,
	},
	"Redis DoubleUsers": {
		required: []string{"InstanceId", "RegionId", "AccountName"},
		optional: []string{"CloneAccountName", "AccountPrivilege"},
		begin:    beginAuto, next: nextAccount,
	},
	"PolarDB DoubleUsers": {
		required: []string{"DBClusterId|InstanceId", "RegionId", "AccountName", "DBType"},
		optional: []string{"CloneAccountName", "AccountType", "AccountPrivilege", "DBName|Database"},
		begin:    beginAuto, next: nextAccount,
	},
	kindRAM + " RamUserAccessKey": {
		required: []string{"UserName"},
		overlap:  keyOverlap,
		begin:    beginAccessKey, next: nextAccessKey,
	},
	kindECS + " Password": {
		required: []string{"InstanceId", "RegionId"},
		optional: []string{"CommandId"},
		begin:    beginLogin("UserName", "Password"), next: nextLoginPassword,
	},
	kindECS + " SSHKey": {
		required: []string{"InstanceId", "RegionId"},
		optional: []string{"CommandId"},
		begin:    beginLogin("UserName", "PublicKey", "PrivateKey"), next: nextKeyPair,
	},
}

func (f subtype) knows(key string) bool {
	return key == "SecretSubType" || slices.ContainsFunc(slices.Concat(f.required, f.optional), func(names string) bool {
		return slices.Contains(strings.Split(names, "|"), key)
	})
}

// isKind tells the values of SecretType.
func isKind(kind string) bool {
	return slices.Contains([]string{kindGeneric, "Rds", "Redis", "PolarDB", kindRAM, kindECS}, kind)
}

// turn rotates a managed secret: the next value becomes current, as a new version. Only the copy of the state that s
// has changes; values never do.
func (s *secret) turn(k *key, id string, at time.Time) error {
	m := &s.managed
	old, err := s.holder(stageCurrent).reveal(k, &s.facts)
	if err != nil {
		return err
	}
	value := m.subtype.next(m, old, at)
	s.add(k, &version{id: id, data: value, dataType: typeText, created: at}, []string{stageCurrent})
	m.rotation.last = at
	if m.subtype.overlap > 0 {
		m.overlap = at.Add(m.subtype.overlap)
	}
	m.plan(at.Add(m.rotation.interval))
	return nil
}

// expire takes away the access key that was replaced, and its version with it, when its time is over. It tells whether
// there was one.
func (s *secret) expire(now time.Time) bool {
	if s.managed.overlap.IsZero() || now.Before(s.managed.overlap) {
		return false
	}
	s.managed.overlap = time.Time{}
	s.versions = slices.DeleteFunc(s.versions, func(v *version) bool { return !slices.Contains(v.stages, stageCurrent) })
	return true
}
