package emulator

import "encoding/json"

// versionStages is the list in the form the API wraps lists in. It is always there, empty or not: Terraform counts on
// it.
type versionStages struct {
	VersionStage []string `json:"VersionStage"`
}

func wrapStages(stages []string) versionStages {
	return versionStages{VersionStage: append([]string{}, stages...)}
}

type putReply struct {
	SecretName    string        `json:"SecretName"`
	VersionID     string        `json:"VersionId"`
	VersionStages versionStages `json:"VersionStages"`
	RequestID     string        `json:"RequestId"`
}

func putSecretValue(c call) (any, error) {
	stages, err := parseStages(c.params["VersionStages"])
	if err != nil {
		return nil, err
	}
	name, v, err := c.store.put(c.params["SecretName"], c.version(), stages)
	if err != nil {
		return nil, err
	}
	return putReply{SecretName: name, VersionID: v.id, VersionStages: wrapStages(v.stages), RequestID: c.requestID}, nil
}

// parseStages reads the labels of PutSecretValue, a JSON array of strings or, as an old sample has it, an object around
// one. Absent is nil; an empty list would make a version that nothing leads to and is refused (undocumented).
func parseStages(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	var list []string
	if json.Unmarshal([]byte(text), &list) != nil {
		var wrapped versionStages
		if json.Unmarshal([]byte(text), &wrapped) != nil {
			return nil, invalid("VersionStages")
		}
		list = wrapped.VersionStage
	}
	if len(list) == 0 {
		return nil, invalid("VersionStages")
	}
	return list, nil
}

type valueReply struct {
	SecretName     string        `json:"SecretName"`
	SecretType     string        `json:"SecretType"`
	SecretData     string        `json:"SecretData"`
	SecretDataType string        `json:"SecretDataType"`
	VersionID      string        `json:"VersionId"`
	VersionStages  versionStages `json:"VersionStages"`
	CreateTime     string        `json:"CreateTime"`
	rotationReply
	RequestID string `json:"RequestId"`
}

// getSecretValue is the only action whose answer holds a value. CreateTime is that of the version (ambiguous).
func getSecretValue(c call) (any, error) {
	extended, err := c.params.boolean("FetchExtendedConfig")
	if err != nil {
		return nil, err
	}
	// A dry run is answered by an error of its own kind, which we don't have: it must not return a value instead.
	if dry, err := c.params.boolean("DryRun"); err != nil || dry {
		return nil, invalid("DryRun")
	}
	s, v, err := c.store.value(c.params["SecretName"], c.params["VersionId"], c.params["VersionStage"])
	if err != nil {
		return nil, err
	}
	return valueReply{
		SecretName: s.name, SecretType: s.kind, SecretData: v.data, SecretDataType: v.dataType, VersionID: v.id,
		VersionStages: wrapStages(v.stages), CreateTime: stamp(v.created), rotationReply: s.rotationReply(extended), RequestID: c.requestID,
	}, nil
}

type listedVersion struct {
	VersionID     string        `json:"VersionId"`
	CreateTime    string        `json:"CreateTime"`
	VersionStages versionStages `json:"VersionStages"`
}

// versionIDs and its element have the same name on the wire.
type versionIDs struct {
	VersionID []listedVersion `json:"VersionId"`
}

type versionsReply struct {
	SecretName string     `json:"SecretName"`
	VersionIDs versionIDs `json:"VersionIds"`
	PageNumber int        `json:"PageNumber"`
	PageSize   int        `json:"PageSize"`
	TotalCount int        `json:"TotalCount"`
	RequestID  string     `json:"RequestId"`
}

// listSecretVersionIDs has pages of 20, as the current text says; an older one says 10.
func listSecretVersionIDs(c call) (any, error) {
	deprecated, err := c.params.boolean("IncludeDeprecated")
	if err != nil {
		return nil, err
	}
	number, size, err := c.params.paging(20)
	if err != nil {
		return nil, err
	}
	name, all, err := c.store.listVersions(c.params["SecretName"], deprecated)
	if err != nil {
		return nil, err
	}
	reply := versionsReply{SecretName: name, PageNumber: number, PageSize: size, TotalCount: len(all), RequestID: c.requestID}
	reply.VersionIDs.VersionID = []listedVersion{}
	for _, v := range page(all, number, size) {
		reply.VersionIDs.VersionID = append(reply.VersionIDs.VersionID, listedVersion{
			VersionID: v.id, CreateTime: stamp(v.created), VersionStages: wrapStages(v.stages),
		})
	}
	return reply, nil
}

func updateSecretVersionStage(c call) (any, error) {
	p := c.params
	name, err := c.store.moveStage(p["SecretName"], p["VersionStage"], p["RemoveFromVersion"], p["MoveToVersion"])
	if err != nil {
		return nil, err
	}
	return nameReply{SecretName: name, RequestID: c.requestID}, nil
}
