package emulator

import "time"

// stamp is how the API writes times; plan is the finer form it has for planned deletions.
func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

func plan(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

type describeReply struct {
	Arn               string `json:"Arn"`
	SecretName        string `json:"SecretName"`
	SecretType        string `json:"SecretType"`
	EncryptionKeyID   string `json:"EncryptionKeyId,omitempty"`
	Description       string `json:"Description"`
	CreateTime        string `json:"CreateTime"`
	UpdateTime        string `json:"UpdateTime"`
	PlannedDeleteTime string `json:"PlannedDeleteTime,omitempty"`
	DKMSInstanceID    string `json:"DKMSInstanceId,omitempty"`
	rotationReply
	Tags      *tags  `json:"Tags,omitempty"`
	RequestID string `json:"RequestId"`
}

func describeSecret(c call) (any, error) {
	fetch, err := c.params.boolean("FetchTags")
	if err != nil {
		return nil, err
	}
	s, err := c.store.describe(c.params["SecretName"])
	if err != nil {
		return nil, err
	}
	return describeReply{
		Arn: c.store.arn + s.name, SecretName: s.name, SecretType: s.kind, EncryptionKeyID: s.key,
		Description: s.description, CreateTime: stamp(s.created), UpdateTime: stamp(s.updated),
		PlannedDeleteTime: plan(s.deleteAt), DKMSInstanceID: s.instance, rotationReply: s.rotationReply(true),
		Tags: wrapTags(fetch, s.tags), RequestID: c.requestID,
	}, nil
}

type listedSecret struct {
	SecretName        string `json:"SecretName"`
	SecretType        string `json:"SecretType"`
	CreateTime        string `json:"CreateTime"`
	UpdateTime        string `json:"UpdateTime"`
	PlannedDeleteTime string `json:"PlannedDeleteTime,omitempty"`
	Tags              *tags  `json:"Tags,omitempty"`
}

type secretList struct {
	Secret []listedSecret `json:"Secret"`
}

type listReply struct {
	SecretList secretList `json:"SecretList"`
	PageNumber int        `json:"PageNumber"`
	PageSize   int        `json:"PageSize"`
	TotalCount int        `json:"TotalCount"`
	RequestID  string     `json:"RequestId"`
}

func listSecrets(c call) (any, error) {
	fetch, err := c.params.boolean("FetchTags")
	if err != nil {
		return nil, err
	}
	number, size, err := c.params.paging(10)
	if err != nil {
		return nil, err
	}
	filters, err := parseFilters(c.params["Filters"], func(key string) ([]string, bool) { return facts{}.filtered(key, "") })
	if err != nil {
		return nil, err
	}
	shown, total := c.store.list(filters, number, size)
	reply := listReply{PageNumber: number, PageSize: size, TotalCount: total, RequestID: c.requestID}
	reply.SecretList.Secret = []listedSecret{} // an empty page is [] and not null
	for _, s := range shown {
		reply.SecretList.Secret = append(reply.SecretList.Secret, listedSecret{
			SecretName: s.name, SecretType: s.kind, CreateTime: stamp(s.created), UpdateTime: stamp(s.updated),
			PlannedDeleteTime: plan(s.deleteAt), Tags: wrapTags(fetch, s.tags),
		})
	}
	return reply, nil
}

type deleteReply struct {
	SecretName        string `json:"SecretName"`
	PlannedDeleteTime string `json:"PlannedDeleteTime"`
	RequestID         string `json:"RequestId"`
}

// deleteSecret accepts both parameters at once, as Terraform sends them; force wins, but a window out of range is
// refused even then (documents disagree). A forced deletion is planned for now, in the time of China as the sample is.
func deleteSecret(c call) (any, error) {
	force, err := c.params.boolean("ForceDeleteWithoutRecovery")
	if err != nil {
		return nil, err
	}
	days, err := c.params.integer("RecoveryWindowInDays", 30, 7, 30)
	if err != nil {
		return nil, err
	}
	if force {
		days = 0
	}
	s, err := c.store.schedule(c.params["SecretName"], time.Duration(days)*24*time.Hour)
	if err != nil {
		return nil, err
	}
	planned := plan(s.deleteAt)
	if force {
		planned = s.deleteAt.In(time.FixedZone("", 8*60*60)).Format(time.RFC3339Nano)
	}
	return deleteReply{SecretName: s.name, PlannedDeleteTime: planned, RequestID: c.requestID}, nil
}

// nameReply is the answer of actions that have nothing to tell.
type nameReply struct {
	SecretName string `json:"SecretName"`
	RequestID  string `json:"RequestId"`
}

func restoreSecret(c call) (any, error) {
	name, err := c.store.restore(c.params["SecretName"])
	if err != nil {
		return nil, err
	}
	return nameReply{SecretName: name, RequestID: c.requestID}, nil
}
