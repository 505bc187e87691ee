package emulator

import (
	"slices"
	"time"
)

const (
	stageCurrent  = "ACSCurrent"
	stagePrevious = "ACSPrevious"
	maxVersions   = 10
	maxLabels     = 6 // stage labels besides the two above
)

// version is one value of a secret. Its data never changes; its labels move.
type version struct {
	id, dataType string
	data         string // while it is on its way in or out
	sealed       []byte // the data, under the key of the secret
	created      time.Time
	stages       []string
}

// facts are what a secret is besides its versions. Nothing that they refer to is ever changed: copies are safe.
type facts struct {
	name, description string
	kind              string // SecretType
	created, updated  time.Time
	deleteAt          time.Time // the end of the delete window; zero outside of it
	key, instance     string    // EncryptionKeyId and DKMSInstanceId, or nothing
	tags              []tag
	managed           managed
}

// secret is the state of a secret. Its versions are in the order of their making.
type secret struct {
	facts
	policy   ownPolicy
	versions []*version
}

// version returns the version of that id, or nil.
func (s *secret) version(id string) *version {
	for _, v := range s.versions {
		if v.id == id {
			return v
		}
	}
	return nil
}

// holder returns the version that carries the label, or nil.
func (s *secret) holder(label string) *version {
	for _, v := range s.versions {
		if slices.Contains(v.stages, label) {
			return v
		}
	}
	return nil
}

// put adds a version, or repeats an old call. No stages mean ACSCurrent. The same id with the same data and type is
// a success: the labels that the call names are applied, since Terraform sends the same version again to label it. Without
// labels it is ignored, so that a retry which arrives late can't turn the secret back. A put counts as an update of the
// secret (unknown).
func (s *secret) put(k *key, v version, stages []string) (*version, error) {
	if err := s.checkLabels(stages); err != nil {
		return nil, err
	}
	if have := s.version(v.id); have != nil {
		data, err := have.reveal(k, &s.facts)
		if err != nil {
			return nil, err
		}
		if data != v.data || have.dataType != v.dataType {
			return nil, errVersionExists // code not published
		}
		if stages != nil {
			s.updated = v.created
			s.apply(stages, have)
		}
		return have, nil
	}
	if stages == nil {
		stages = []string{stageCurrent}
	}
	s.add(k, &v, stages)
	return &v, nil
}

// add puts a version that is new.
func (s *secret) add(k *key, v *version, stages []string) {
	v.close(k, &s.facts)
	s.updated = v.created
	s.versions = append(s.versions, v)
	s.apply(stages, v)
	s.evict()
}

// move is UpdateSecretVersionStage. The system labels can only be moved, not taken away. Moving ACSCurrent takes
// ACSPrevious along to the version that was current, as a put does (undocumented). A label that is elsewhere
// moves also when "from" is not given.
func (s *secret) move(label, from, to string) error {
	if to == "" && (from == "" || label == stageCurrent || label == stagePrevious) {
		return needed("MoveToVersion")
	}
	if from != "" {
		if v := s.version(from); v == nil || !slices.Contains(v.stages, label) {
			return invalid("RemoveFromVersion") // undocumented
		}
	}
	if to == "" {
		s.detach(label)
		return nil
	}
	v := s.version(to)
	if v == nil {
		return errNotFound // undocumented
	}
	if err := s.checkLabels([]string{label}); err != nil {
		return err
	}
	s.apply([]string{label}, v)
	return nil
}

// apply puts labels on v. ACSCurrent comes first: it moves ACSPrevious, which the list may then place elsewhere.
func (s *secret) apply(labels []string, v *version) {
	if slices.Contains(labels, stageCurrent) {
		if old := s.holder(stageCurrent); old != nil && old != v {
			s.attach(stagePrevious, old)
		}
	}
	for _, label := range labels {
		s.attach(label, v)
	}
}

func (s *secret) attach(label string, v *version) {
	if slices.Contains(v.stages, label) {
		return
	}
	s.detach(label)
	v.stages = append(v.stages, label)
}

func (s *secret) detach(label string) {
	if v := s.holder(label); v != nil {
		v.stages = slices.DeleteFunc(v.stages, func(have string) bool { return have == label })
	}
}

// checkLabels refuses a ninth label. The limit of eight distinct ones counts ACSCurrent and ACSPrevious; they
// are counted also while ACSPrevious is on no version yet, so that a plain put can't run into the limit.
func (s *secret) checkLabels(wanted []string) error {
	custom := map[string]bool{}
	for _, label := range wanted {
		if !validID(label) {
			return invalid("VersionStages")
		}
		custom[label] = true
	}
	for _, v := range s.versions {
		for _, label := range v.stages {
			custom[label] = true
		}
	}
	delete(custom, stageCurrent)
	delete(custom, stagePrevious)
	if len(custom) > maxLabels {
		return errLimit // code not published
	}
	return nil
}

// evict drops the oldest version beyond ten. Of the two wordings it is the oldest without a label; as eight
// labels can't be on eleven versions, there always is one, but the oldest of all would be next.
func (s *secret) evict() {
	if len(s.versions) <= maxVersions {
		return
	}
	oldest := max(0, slices.IndexFunc(s.versions, func(v *version) bool { return len(v.stages) == 0 }))
	s.versions = slices.Delete(s.versions, oldest, oldest+1)
}
