package emulator

import (
	"cmp"
	"time"
)

// stamp is how the API writes times; plan is the finer form it has for planned deletions.
func stamp(t time.Time) string { return t.UTC().Format(timeLayout) }

func plan(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

type createReply struct {
	Arn        string `json:"Arn"`
	SecretName string `json:"SecretName"`
	VersionID  string `json:"VersionId"`
	SecretType string `json:"SecretType"`
	RequestID  string `json:"RequestId"`
}

// createSecret makes generic secrets only.
func createSecret(c call) (any, error) {
	if kind := c.params["SecretType"]; kind != "" && kind != "Generic" {
		return nil, invalid("SecretType")
	}
	// For generic secrets the API says that rotation has no effect. A caller who asks for it expects it: refused.
	if rotate, err := c.params.boolean("EnableAutomaticRotation"); err != nil || rotate {
		return nil, invalid("EnableAutomaticRotation")
	}
	v := c.version()
	s, err := c.store.create(c.params["SecretName"], c.params["Description"], v)
	if err != nil {
		return nil, err
	}
	return createReply{Arn: c.store.arn + s.name, SecretName: s.name, VersionID: v.id, SecretType: "Generic", RequestID: c.requestID}, nil
}

// version is the version that a request brings along.
func (c call) version() version {
	return version{
		id:       c.params["VersionId"],
		data:     c.params["SecretData"],
		dataType: cmp.Or(c.params["SecretDataType"], typeText),
	}
}

// tags is an empty list while tags can't be set, and no field at all unless asked for.
type tags struct {
	Tag []struct{} `json:"Tag"`
}

func fetchTags(p params) (*tags, error) {
	fetch, err := p.boolean("FetchTags")
	if err != nil || !fetch {
		return nil, err
	}
	return &tags{Tag: []struct{}{}}, nil
}

type describeReply struct {
	Arn               string `json:"Arn"`
	SecretName        string `json:"SecretName"`
	SecretType        string `json:"SecretType"`
	Description       string `json:"Description"`
	CreateTime        string `json:"CreateTime"`
	UpdateTime        string `json:"UpdateTime"`
	PlannedDeleteTime string `json:"PlannedDeleteTime,omitempty"`
	Tags              *tags  `json:"Tags,omitempty"`
	RequestID         string `json:"RequestId"`
}

func describeSecret(c call) (any, error) {
	fetched, err := fetchTags(c.params)
	if err != nil {
		return nil, err
	}
	s, err := c.store.describe(c.params["SecretName"])
	if err != nil {
		return nil, err
	}
	return describeReply{
		Arn: c.store.arn + s.name, SecretName: s.name, SecretType: "Generic", Description: s.description,
		CreateTime: stamp(s.created), UpdateTime: stamp(s.updated), PlannedDeleteTime: plan(s.deleteAt),
		Tags: fetched, RequestID: c.requestID,
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
	fetched, err := fetchTags(c.params)
	if err != nil {
		return nil, err
	}
	number, size, err := c.params.paging(10)
	if err != nil {
		return nil, err
	}
	all := c.store.list()
	reply := listReply{PageNumber: number, PageSize: size, TotalCount: len(all), RequestID: c.requestID}
	reply.SecretList.Secret = []listedSecret{} // an empty page is [] and not null
	for _, s := range page(all, number, size) {
		reply.SecretList.Secret = append(reply.SecretList.Secret, listedSecret{
			SecretName: s.name, SecretType: "Generic", CreateTime: stamp(s.created), UpdateTime: stamp(s.updated),
			PlannedDeleteTime: plan(s.deleteAt), Tags: fetched,
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
// refused even then (documents disagree). A forced deletion is planned for now.
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
	return deleteReply{SecretName: s.name, PlannedDeleteTime: plan(s.deleteAt), RequestID: c.requestID}, nil
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
