package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const maxFaults = 1000

// Fault is a rule for calls that are to go wrong. Calls of an Action (a pattern, empty is every) about a Secret (a pattern
// of its name, empty is every call) get the fault of that Kind: always, a number of Times, or at a Rate drawn from a Seed.
type Fault struct {
	Action   string   `json:"action,omitempty"`
	Secret   string   `json:"secret,omitempty"`
	Kind     string   `json:"kind"`
	Times    int      `json:"times,omitempty"`
	Rate     float64  `json:"rate,omitempty"`
	Seed     uint64   `json:"seed,omitempty"`
	Duration Duration `json:"duration,omitzero"` // of a latency
}

// Duration is a time.Duration that JSON has as text, such as "300ms".
type Duration time.Duration

// MarshalText writes it as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// errZero refuses what would read as "never" and mean "always": a number that is not given is zero too.
var errZero = errors.New("times and rate must be greater than 0; leave both out for every call")

// UnmarshalJSON is strict, and refuses a zero that was written down.
func (f *Fault) UnmarshalJSON(text []byte) error {
	type plain Fault
	var given struct {
		plain
		Times *int     `json:"times"`
		Rate  *float64 `json:"rate"`
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&given); err != nil {
		return err
	}
	if given.Times != nil && *given.Times == 0 || given.Rate != nil && *given.Rate == 0 {
		return errZero
	}
	*f = Fault(given.plain)
	if given.Times != nil {
		f.Times = *given.Times
	}
	if given.Rate != nil {
		f.Rate = *given.Rate
	}
	return nil
}

// ParseFault reads a rule of the form action=GetSecretValue,secret=prod/*,kind=throttle,times=3.
func ParseFault(text string) (Fault, error) {
	var f Fault
	for pair := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(pair, "=")
		var err error
		switch key = strings.TrimSpace(key); key {
		case "action":
			f.Action = value
		case "secret":
			f.Secret = value
		case "kind":
			f.Kind = value
		case "times":
			if f.Times, err = strconv.Atoi(value); err == nil && f.Times == 0 {
				return f, fmt.Errorf("fault %q: %w", text, errZero)
			}
		case "rate":
			if f.Rate, err = strconv.ParseFloat(value, 64); err == nil && f.Rate == 0 {
				return f, fmt.Errorf("fault %q: %w", text, errZero)
			}
		case "seed":
			f.Seed, err = strconv.ParseUint(value, 10, 64)
		case "duration":
			err = f.Duration.UnmarshalText([]byte(value))
		default:
			ok = false
		}
		if !ok {
			return f, fmt.Errorf("fault %q: want action, secret, kind, times, rate, seed or duration, each as KEY=VALUE", text)
		}
		if err != nil {
			return f, fmt.Errorf("fault %q: %s can't be read", text, key)
		}
	}
	if err := f.check(); err != nil {
		return f, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

func (f Fault) check() error {
	_, refuses := refusals[f.Kind]
	_, answers := rawAnswers[f.Kind]
	switch {
	case !refuses && !answers && !slices.Contains(deliveries, f.Kind):
		return fmt.Errorf("unknown kind %q, known are %s", f.Kind, strings.Join(faultKinds(), ", "))
	case f.Kind == kindLatency && f.Duration <= 0:
		return errors.New("latency needs a duration")
	case f.Kind != kindLatency && f.Duration != 0:
		return errors.New("only latency has a duration")
	case f.Times < 0 || !(f.Rate >= 0 && f.Rate <= 1): // a NaN too
		return errors.New("times must be positive, and rate between 0 and 1")
	case f.Times > 0 && f.Rate > 0:
		return errors.New("times and rate exclude each other")
	case f.Rate == 0 && f.Seed != 0:
		return errors.New("a seed needs a rate")
	}
	return nil
}

func faultKinds() []string {
	all := slices.Concat(deliveries, slices.Collect(maps.Keys(refusals)), slices.Collect(maps.Keys(rawAnswers)))
	slices.Sort(all)
	return all
}

// faultRule is a Fault and what is left of it.
type faultRule struct {
	Fault
	Used int `json:"used"` // how often it has struck
	dice *rand.Rand
}

// strikes draws once for a call. A rule that is used up, or whose draw says no, is passed over as if it were not there.
func (f *faultRule) strikes(action, secret string) bool {
	if f.Action != "" && !matches(f.Action, action) || f.Secret != "" && (secret == "" || !matches(f.Secret, secret)) {
		return false
	}
	if f.Times > 0 && f.Used >= f.Times || f.Rate > 0 && f.dice.Float64() >= f.Rate {
		return false
	}
	f.Used++
	return true
}

// faults are the rules in their order; the first that strikes wins.
type faults struct {
	mu    sync.Mutex
	rules []*faultRule
}

func (fs *faults) strike(action, secret string) (Fault, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, rule := range fs.rules {
		if rule.strikes(action, secret) {
			return rule.Fault, true
		}
	}
	return Fault{}, false
}

// add appends all rules or, when one is wrong, none.
func (fs *faults) add(all []Fault) error {
	for i, f := range all {
		if err := f.check(); err != nil {
			return fmt.Errorf("fault %d: %w", i+1, err)
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if len(fs.rules)+len(all) > maxFaults {
		return fmt.Errorf("more than %d faults", maxFaults)
	}
	for _, f := range all {
		fs.rules = append(fs.rules, &faultRule{Fault: f, dice: rand.New(rand.NewPCG(f.Seed, 0))})
	}
	return nil
}

func (fs *faults) clear() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.rules = nil
}

// text is the list as JSON.
func (fs *faults) text() json.RawMessage {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	text, _ := json.Marshal(append([]*faultRule{}, fs.rules...)) // numbers in range and strings always encode
	return text
}

// Fault appends rules to those that are there.
func (e *Emulator) Fault(rules ...Fault) error { return e.faults.add(rules) }

// ClearFaults removes all rules.
func (e *Emulator) ClearFaults() { e.faults.clear() }
