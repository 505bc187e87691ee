package emulator

// maxKeyVersions is the documented limit.
const maxKeyVersions = 50

type keyVersionReply struct {
	KeyVersion listedKeyVersion `json:"KeyVersion"`
	RequestID  string           `json:"RequestId"`
}

type listedKeyVersion struct {
	KeyID        string `json:"KeyId"`
	KeyVersionID string `json:"KeyVersionId"`
	CreationDate string `json:"CreationDate"`
}

// createKeyVersion takes symmetric and asymmetric keys: of two documents each allows the other kind only. The
// documented interval of seven days between versions is not asked for.
func createKeyVersion(c call) (any, error) {
	reply := keyVersionReply{RequestID: c.requestID}
	err := c.store.alter(c.params["KeyId"], func(k *key) error {
		if err := k.ready(); err != nil {
			return err
		}
		if k.origin != originKMS {
			return errKeyUnsupported
		}
		if len(k.versions) >= maxKeyVersions {
			return errLimit
		}
		v := k.turn(c.store.now())
		reply.KeyVersion = listedKeyVersion{KeyID: k.id, KeyVersionID: v.id, CreationDate: stamp(v.created)}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

type keyVersionList struct {
	KeyVersion []listedKeyVersion `json:"KeyVersion"`
}

type keyVersionsReply struct {
	KeyVersions keyVersionList `json:"KeyVersions"`
	PageNumber  int            `json:"PageNumber"`
	PageSize    int            `json:"PageSize"`
	TotalCount  int            `json:"TotalCount"`
	RequestID   string         `json:"RequestId"`
}

func listKeyVersions(c call) (any, error) {
	number, size, err := c.params.paging(10)
	if err != nil {
		return nil, err
	}
	k, err := c.store.describeKey(c.params["KeyId"])
	if err != nil {
		return nil, err
	}
	reply := keyVersionsReply{PageNumber: number, PageSize: size, TotalCount: len(k.versions), RequestID: c.requestID}
	reply.KeyVersions.KeyVersion = []listedKeyVersion{}
	for _, v := range page(k.versions, number, size) {
		reply.KeyVersions.KeyVersion = append(reply.KeyVersions.KeyVersion,
			listedKeyVersion{KeyID: k.id, KeyVersionID: v.id, CreationDate: stamp(v.created)})
	}
	return reply, nil
}
