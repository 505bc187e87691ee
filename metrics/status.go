package metrics

import (
	"encoding/json"
	"net/http"
	"time"
)

// Status is what GET /status tells. It holds no value of a secret.
type Status struct {
	Version string   `json:"version"` // of kmsrun
	Started bool     `json:"started"` // the first generation is published, and the program, if there is one, was started
	Secrets []Secret `json:"secrets"`
	Child   *Child   `json:"child,omitempty"`       // the program; absent before its start, and in a sidecar
	Action  *Action  `json:"last_action,omitempty"` // the last that a change caused
	Held    []string `json:"held,omitempty"`        // the versions that are held back, and why
	OnHold  bool     `json:"on_hold"`               // nothing is published or restarted until the release

	Sealed *SealedStatus `json:"sealed,omitempty"` // the sealed file; absent without one
}

// The states of a secret.
const (
	SecretOK      = "ok"      // the last read was good
	SecretFailing = "failing" // the last read was not
	SecretStale   = "stale"   // failing, and no good read for watch.max_stale, or three intervals
	SecretPinned  = "pinned"  // to a version: never read again
)

// Secret is one secret that is declared. Ages are in seconds at the time of the answer.
type Secret struct {
	Secret       string     `json:"secret"`            // as in the metrics
	Stage        string     `json:"stage,omitempty"`   // none when pinned
	Version      string     `json:"version,omitempty"` // read last; the program may still have an older one
	Stages       []string   `json:"stages,omitempty"`  // all labels of that version
	State        string     `json:"state"`
	Error        string     `json:"error,omitempty"`    // the kind of the last failure
	Failures     int        `json:"failures,omitempty"` // in a row
	Created      *time.Time `json:"created,omitempty"`
	Age          *float64   `json:"age_seconds,omitempty"` // of the version
	LastPoll     *time.Time `json:"last_poll,omitempty"`
	LastGood     *time.Time `json:"last_good,omitempty"`
	Staleness    *float64   `json:"seconds_since_good,omitempty"`
	NextPoll     *time.Time `json:"next_poll,omitempty"`
	NextRotation *time.Time `json:"next_rotation,omitempty"`
}

// Child is the program.
type Child struct {
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
	Starts  int       `json:"starts"` // of the program, this one included
	State   string    `json:"state"`  // running, settling or stopping
}

// Action is something that a change caused.
type Action struct {
	Action string    `json:"action"` // none, touch, signal, exec, http, restart, exit or rollback
	At     time.Time `json:"at"`
	Result string    `json:"result,omitempty"`
}

// serveStatus answers with the status of now.
func serveStatus(version string, status func() Status) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		s := status()
		s.Version = version
		s.Secrets = withAges(s.Secrets, time.Now())
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(s) // a client that has gone away is not our fault
	}
}

func withAges(secrets []Secret, now time.Time) []Secret {
	aged := make([]Secret, len(secrets)) // never null in JSON
	for i, s := range secrets {
		s.Age, s.Staleness = since(s.Created, now), since(s.LastGood, now)
		aged[i] = s
	}
	return aged
}

func since(at *time.Time, now time.Time) *float64 {
	if at == nil {
		return nil
	}
	seconds := now.Sub(*at).Round(time.Millisecond).Seconds()
	return &seconds
}
