package secret

import (
	"bytes"
	"slices"
	"time"
)

// Value is one version of one secret as KMS returned it. Its bytes live behind a
// func, so that no printer, logger or encoder can reach them, whatever holds the
// Value: fmt calls no method on a value that it reaches through an unexported
// field, so a Format method alone would leak.
type Value struct {
	// Version is the VersionId of GetSecretValue's answer.
	Version string
	// Stages are the labels of that version, as answered.
	Stages []string
	// Created is the CreateTime of the answer; zero when it could not be read.
	Created time.Time
	// NextRotation is when KMS means to rotate the secret next (NextRotationDate of
	// the answer); zero for a secret that KMS does not rotate by itself.
	NextRotation time.Time
	// Binary tells that the SecretDataType was binary: the bytes are base64, by a
	// convention that KMS does not enforce.
	Binary bool
	// Absent stands for a secret that is not there, and that nobody must have.
	Absent bool

	data func() []byte
}

// NewValue makes a Value of a copy of data.
func NewValue(data []byte, version string, stages []string, created time.Time) Value {
	own := bytes.Clone(data)
	return Value{
		Version: version,
		Stages:  slices.Clone(stages),
		Created: created,
		data:    func() []byte { return own },
	}
}

// WithNextRotation is the same value with the date of its secret's next rotation.
func (v Value) WithNextRotation(at time.Time) Value {
	v.NextRotation = at
	return v
}

// Bytes is the plaintext. The caller must not change it, and must be one of the
// few that a test lists: only rendering needs it.
func (v Value) Bytes() []byte {
	if v.data == nil {
		return nil
	}
	return v.data()
}

// Same tells whether w is the same version with the same bytes. Both count: a
// label can move back to an older version, and a managed secret may keep an id.
func (v Value) Same(w Value) bool {
	return v.Version == w.Version && v.Binary == w.Binary && v.Absent == w.Absent && bytes.Equal(v.Bytes(), w.Bytes())
}
