package config

import (
	"net"
	"time"
)

// Verify is a command that must succeed for a change to be taken over.
type Verify struct {
	Exec    []string      `yaml:"exec"`    // command and its arguments; empty: no check
	Timeout time.Duration `yaml:"timeout"` // after which it is killed, and has failed
	When    string        `yaml:"when"`    // before | after the flip of the files
}

// When a change is verified.
const (
	VerifyBefore = "before"
	VerifyAfter  = "after"
)

// Health says how a program must do after a restart or signal of ours, lest the change
// is undone.
type Health struct {
	Settle   time.Duration `yaml:"settle"`   // it may not die so soon; 0: it may
	Within   time.Duration `yaml:"within"`   // the check must pass by then
	Interval time.Duration `yaml:"interval"` // between two checks, and the longest that one may take
	HTTP     string        `yaml:"http"`     // URL that must answer 2xx
	TCP      string        `yaml:"tcp"`      // HOST:PORT that must accept a connection
	Exec     []string      `yaml:"exec"`     // command that must exit with 0
}

// Checked tells whether there is a check.
func (h Health) Checked() bool { return h.HTTP != "" || h.TCP != "" || len(h.Exec) > 0 }

// On tells whether a change may be undone at all.
func (h Health) On() bool { return h.Settle > 0 || h.Checked() }

func (d *decoder) validateVerify(v Verify) {
	d.command("verify.exec", v.Exec)
	d.oneOf("verify.when", v.When, VerifyBefore, VerifyAfter)
	if v.Timeout <= 0 {
		d.fault("verify.timeout", "want more than 0s, got %s", v.Timeout)
	}
	if len(v.Exec) > 0 {
		return
	}
	// A default that is written out does no harm.
	if v.Timeout != Default().Verify.Timeout {
		d.fault("verify.timeout", "goes with verify.exec")
	}
	if v.When != Default().Verify.When {
		d.fault("verify.when", "goes with verify.exec")
	}
}

func (d *decoder) validateHealth(h Health) {
	d.command("health.exec", h.Exec)
	checks := 0
	for _, is := range []bool{h.HTTP != "", h.TCP != "", len(h.Exec) > 0} {
		if is {
			checks++
		}
	}
	if checks > 1 {
		d.fault("health", "want one of http, tcp and exec")
	}
	if h.HTTP != "" && !isURL(h.HTTP) {
		d.fault("health.http", "want http://HOST/PATH or https://HOST/PATH, with no user")
	}
	if _, port, err := net.SplitHostPort(h.TCP); h.TCP != "" && (err != nil || port == "") {
		d.fault("health.tcp", "want HOST:PORT, got %q", h.TCP)
	}
	if h.Settle < 0 {
		d.fault("health.settle", "want 0s or more, got %s", h.Settle)
	}
	if h.Interval <= 0 {
		d.fault("health.interval", "want more than 0s, got %s", h.Interval)
	}
	if h.Checked() && h.Within < max(h.Settle, h.Interval) {
		d.fault("health.within", "want at least health.settle (%s) and health.interval (%s), got %s", h.Settle, h.Interval, h.Within)
	}
	if h.Checked() {
		return
	}
	if h.Within != Default().Health.Within {
		d.fault("health.within", "goes with a check: http, tcp or exec")
	}
	if h.Interval != Default().Health.Interval {
		d.fault("health.interval", "goes with a check: http, tcp or exec")
	}
}
