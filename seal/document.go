package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/kmsrun/kmsrun/secret"
)

// document is what is in the file (docs/outage.md describes it). It is made to be
// read by a person at 3 am: indented, and values as they are wherever they are text.
type document struct {
	Format  string            `json:"format"`
	Version int               `json:"version"`
	Sealed  time.Time         `json:"sealed"`
	KMS     origin            `json:"kms"`
	Secrets map[string]*entry `json:"secrets"` // by reference, less the selector
}

// origin is what the references mean: the same name is another secret elsewhere.
type origin struct {
	Region   string `json:"region"`
	Endpoint string `json:"endpoint"`
}

func (o origin) String() string {
	return "region " + strconv.Quote(o.Region) + " and endpoint " + strconv.Quote(o.Endpoint)
}

// entry is one value with its metadata: text as a plain string, else base64.
type entry struct {
	Value   *string   `json:"value,omitempty"`
	Base64  []byte    `json:"value_base64,omitempty"`
	Version string    `json:"version"`
	Stages  []string  `json:"stages,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Next    time.Time `json:"next_rotation,omitzero"`
	Binary  bool      `json:"binary,omitempty"` // SecretDataType: the value is base64 by KMS's convention
	Absent  bool      `json:"absent,omitempty"` // KMS has no such secret, and nobody must have it: no value
	Read    time.Time `json:"read"`             // when KMS last said that it is in force
}

// whole tells whether there is one value, or none where there is to be none.
func (e *entry) whole() bool {
	if e.Absent {
		return e.Value == nil && e.Base64 == nil
	}
	return (e.Value == nil) != (e.Base64 == nil)
}

// The format, as the file says it.
const (
	formatName    = "kmsrun sealed snapshot"
	formatVersion = 1
)

// Contents is what a file held.
type Contents struct {
	Snapshot secret.Snapshot
	Sealed   time.Time
	Read     map[secret.ID]time.Time
}

// encode completes d with the values of a snapshot. Its errors hold nothing of them.
func encode(d document, snapshot secret.Snapshot, read func(secret.ID) time.Time) ([]byte, error) {
	d.Format, d.Version, d.Secrets = formatName, formatVersion, map[string]*entry{}
	for _, id := range snapshot.IDs() {
		value, _ := snapshot.Get(id)
		e := &entry{
			Version: value.Version, Stages: value.Stages, Created: value.Created, Next: value.NextRotation,
			Binary: value.Binary, Absent: value.Absent, Read: read(id).UTC(),
		}
		switch data := value.Bytes(); {
		case value.Absent:
		case utf8.Valid(data):
			text := string(data)
			e.Value = &text
		default:
			e.Base64 = data
		}
		d.Secrets[id.String()] = e
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil {
		return nil, errors.New("the values can't be written as JSON")
	}
	return text.Bytes(), nil
}

func decode(text []byte) (Contents, origin, error) {
	var d document
	if json.Unmarshal(text, &d) != nil || d.Format != formatName { // the decoder's own text may quote a value
		return Contents{}, origin{}, errors.New("opens, but holds no snapshot of kmsrun's")
	}
	if d.Version != formatVersion {
		return Contents{}, origin{}, errors.New("written by another kmsrun: its format is version " + strconv.Itoa(d.Version) + ", this one reads " + strconv.Itoa(formatVersion))
	}
	contents := Contents{Sealed: d.Sealed, Read: map[secret.ID]time.Time{}}
	for reference, e := range d.Secrets {
		ref, err := secret.ParseRef(reference)
		if err != nil || e == nil || !e.whole() {
			return Contents{}, origin{}, errors.New("opens, but is not as kmsrun writes it: see the entry of " + strconv.Quote(reference))
		}
		data := e.Base64
		if e.Value != nil {
			data = []byte(*e.Value)
		}
		value := secret.NewValue(data, e.Version, e.Stages, e.Created).WithNextRotation(e.Next)
		value.Binary, value.Absent = e.Binary, e.Absent
		contents.Snapshot = contents.Snapshot.With(ref.ID, value)
		contents.Read[ref.ID] = e.Read
	}
	return contents, d.KMS, nil
}

// fit tells why the contents can't stand in for ids, if they can't.
func (c Contents) fit(now time.Time, ids []secret.ID, maxAge time.Duration) error {
	for _, id := range ids {
		if _, known := c.Read[id]; !known {
			return errors.New("made for other references: it has no " + id.String())
		}
	}
	for _, id := range ids {
		if age := now.Sub(c.Read[id]); age > maxAge && !id.Pinned() {
			return errors.New("too old: " + id.String() + " was read " + age.Round(time.Second).String() + " ago, and sealed.max_age (or watch.max_stale) allows " + maxAge.String())
		}
	}
	return nil
}

// Oldest is when the value of ids was read that has waited longest; zero for none.
func (c Contents) Oldest(ids []secret.ID) time.Time {
	var times []time.Time
	for _, id := range ids {
		if at, ok := c.Read[id]; ok && !id.Pinned() {
			times = append(times, at)
		}
	}
	if len(times) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(times, time.Time.Compare)
}
