package emulator

import (
	"strings"
	"time"
)

// rotationReply is what answers tell of managed secrets, and of generic ones nothing.
type rotationReply struct {
	AutomaticRotation string `json:"AutomaticRotation,omitempty"`
	RotationInterval  string `json:"RotationInterval,omitempty"`
	LastRotationDate  string `json:"LastRotationDate,omitempty"`
	NextRotationDate  string `json:"NextRotationDate,omitempty"`
	ExtendedConfig    string `json:"ExtendedConfig,omitempty"`
}

// date is a stamp, or nothing where there was or will be no such time.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

// rotationReply never says that automatic rotation is Invalid: here it can't fail.
func (f facts) rotationReply(extended bool) rotationReply {
	if f.kind == kindGeneric {
		return rotationReply{}
	}
	r := f.managed.rotation
	reply := rotationReply{AutomaticRotation: "Disabled", LastRotationDate: date(r.last)}
	if r.interval > 0 {
		reply.AutomaticRotation, reply.RotationInterval, reply.NextRotationDate = "Enabled", seconds(r.interval), date(r.next)
	}
	if extended {
		reply.ExtendedConfig = f.managed.config()
	}
	return reply
}

// updateSecretRotationPolicy needs an interval when it enables.
func updateSecretRotationPolicy(c call) (any, error) {
	interval, err := c.params.interval(minInterval, maxInterval)
	if err != nil {
		return nil, err
	}
	name, err := c.store.automate(c.params["SecretName"], interval)
	if err != nil {
		return nil, err
	}
	return nameReply{SecretName: name, RequestID: c.requestID}, nil
}

type rotateReply struct {
	Arn        string `json:"Arn"`
	SecretName string `json:"SecretName"`
	VersionID  string `json:"VersionId"`
	RequestID  string `json:"RequestId"`
}

func rotateSecret(c call) (any, error) {
	id := c.params["VersionId"]
	name, err := c.store.rotate(c.params["SecretName"], id)
	if err != nil {
		return nil, err
	}
	return rotateReply{Arn: c.store.arn + name, SecretName: name, VersionID: id, RequestID: c.requestID}, nil
}

// updateSecret changes what is given. A description that is given and empty clears it.
func updateSecret(c call) (any, error) {
	var description, custom *string
	if text, ok := c.params["Description"]; ok {
		description = &text
	}
	if text := c.customData(); text != "" {
		custom = &text
	}
	if description == nil && custom == nil {
		return nil, needed("Description")
	}
	name, err := c.store.update(c.params["SecretName"], description, custom)
	if err != nil {
		return nil, err
	}
	return nameReply{SecretName: name, RequestID: c.requestID}, nil
}

// customData is the parameter of that name, JSON, or what one of the official SDKs makes of it: a parameter for each pair.
func (c call) customData() string {
	const name = "ExtendedConfig.CustomData"
	pairs := map[string]string{}
	for key, value := range c.params {
		if pair, ok := strings.CutPrefix(key, name+"."); ok {
			pairs[pair] = value
		}
	}
	if c.params[name] == "" && len(pairs) > 0 {
		return compactJSON(pairs)
	}
	return c.params[name]
}
