package emulator

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// quotaGroup is a set of actions that share a limit.
type quotaGroup int

const (
	quotaOthers quotaGroup = iota // the low frequencies
	quotaRead
	quotaCreate
	quotaRotate
	quotaCreateKey
	quotaReadKey
	quotaWriteKey
	quotaTags
	quotaCrypto
)

// limits are those of the shared gateway, per account: so many at once, and as many again per second or hour.
var limits = map[quotaGroup]struct {
	burst  int
	period time.Duration
}{
	quotaOthers:    {40, time.Second},
	quotaRead:      {450, time.Second},
	quotaCreate:    {10, time.Second},
	quotaRotate:    {50, time.Hour},
	quotaCreateKey: {10, time.Second},
	quotaReadKey:   {50, time.Second},
	quotaWriteKey:  {30, time.Second},
	quotaTags:      {300, time.Second},
	quotaCrypto:    {1000, time.Second}, // one page says 750
}

// groups has the actions that are not among the 40 of the low frequencies. Where the documents are silent an action is one
// of those: DescribeSecret, ListSecretVersionIds, PutSecretValue and the updates, RestoreSecret, GetRandomPassword.
var groups = map[string]quotaGroup{
	"GetSecretValue":                  quotaRead,
	"CreateSecret":                    quotaCreate,
	"DeleteSecret":                    quotaCreate,
	"RotateSecret":                    quotaRotate,
	"CreateKey":                       quotaCreateKey,
	"DescribeKey":                     quotaReadKey,
	"ListKeys":                        quotaReadKey,
	"ListKeyVersions":                 quotaReadKey,
	"ListAliases":                     quotaReadKey,
	"GetKeyPolicy":                    quotaReadKey,
	"UpdateKeyDescription":            quotaWriteKey,
	"EnableKey":                       quotaWriteKey,
	"DisableKey":                      quotaWriteKey,
	"UpdateRotationPolicy":            quotaWriteKey,
	"ScheduleKeyDeletion":             quotaWriteKey,
	"CancelKeyDeletion":               quotaWriteKey,
	"SetDeletionProtection":           quotaWriteKey,
	"CreateKeyVersion":                quotaWriteKey,
	"SetKeyPolicy":                    quotaWriteKey,
	"CreateAlias":                     quotaWriteKey,
	"UpdateAlias":                     quotaWriteKey,
	"DeleteAlias":                     quotaWriteKey,
	"TagResource":                     quotaWriteKey,
	"UntagResource":                   quotaWriteKey,
	"TagResources":                    quotaWriteKey,
	"UntagResources":                  quotaWriteKey,
	"ListResourceTags":                quotaTags,
	"ListTagResources":                quotaTags,
	"Encrypt":                         quotaCrypto,
	"Decrypt":                         quotaCrypto,
	"GenerateDataKey":                 quotaCrypto,
	"GenerateDataKeyWithoutPlaintext": quotaCrypto,
}

type bucket struct {
	account string
	group   quotaGroup
}

// quota counts calls by the account of the caller, in the time that tests move. STS has no limits here.
type quota struct {
	mu      sync.Mutex
	buckets map[bucket]*rate.Limiter
}

func (q *quota) take(account, action string, now time.Time) bool {
	key := bucket{account, groups[action]}
	q.mu.Lock()
	defer q.mu.Unlock()
	limiter, ok := q.buckets[key]
	if !ok {
		limit := limits[key.group]
		limiter = rate.NewLimiter(rate.Every(limit.period/time.Duration(limit.burst)), limit.burst)
		q.buckets[key] = limiter
	}
	return limiter.AllowN(now, 1)
}
