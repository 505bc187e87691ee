// Package config is the declaration: its types, defaults, strict decoding with
// positions, the layers above the file (environment twins, flags, inherited
// references) and every validation rule. It uses neither network nor clock.
package config

import (
	"io/fs"
	"log/slog"
	"time"
)

// Config is one whole, validated declaration. It holds values, not pointers;
// [Default] sets every default before anything is decoded over it.
type Config struct {
	Version  int             `yaml:"version"`
	KMS      KMS             `yaml:"kms"`
	Auth     map[string]Auth `yaml:"auth"` // by the name that ?auth= says
	ScanEnv  bool            `yaml:"scan_env"`
	Env      map[string]Text `yaml:"env"`
	Files    Files           `yaml:"files"`
	Watch    Watch           `yaml:"watch"`
	OnChange OnChange        `yaml:"on_change"`
	Child    Child           `yaml:"child"`
	Sealed   Sealed          `yaml:"sealed"`
	HTTP     HTTP            `yaml:"http"`
	Log      Log             `yaml:"log"`

	// Warnings are doubtful but valid settings, to be logged at each start.
	Warnings []Fault `yaml:"-"`
}

// KMS says where the secrets are and how to ask for them.
type KMS struct {
	Region       string        `yaml:"region"`           // not needed with an explicit endpoint
	Network      string        `yaml:"network"`          // public | vpc
	Endpoint     string        `yaml:"endpoint"`         // host, https://host or http://host:port
	InsecureHTTP bool          `yaml:"insecure_http"`    // plain http to more than loopback
	CAFile       string        `yaml:"ca_file"`          // PEM; trusted besides the system's roots
	Fallback     []string      `yaml:"fallback_regions"` // tried in order while the region is out of reach
	Timeout      time.Duration `yaml:"timeout"`          // of one call
	StartTimeout time.Duration `yaml:"start_timeout"`    // of all of the first fetch, retries included
	Concurrency  int           `yaml:"concurrency"`      // calls under way at once
	RateLimit    float64       `yaml:"rate_limit"`       // calls per second of this process
}

// Files says which files the program gets, and where.
type Files struct {
	Dir   string          `yaml:"dir"`   // empty: the first usable of the usual places
	Disk  string          `yaml:"disk"`  // refuse | allow a directory that is not in memory
	Mode  Mode            `yaml:"mode"`  // of each file
	Grace time.Duration   `yaml:"grace"` // how long a generation stays after the flip away from it
	Items map[string]Item `yaml:"items"` // by path below the directory
}

// Item is one file.
type Item struct {
	From Text `yaml:"from,short"`
	Mode Mode `yaml:"mode"` // 0: Files.Mode
}

// Watch says how to look for new versions.
type Watch struct {
	Interval    time.Duration `yaml:"interval"`     // between two reads of one secret
	Jitter      float64       `yaml:"jitter"`       // fraction of the interval, 0 to 1
	Debounce    time.Duration `yaml:"debounce"`     // wait for companions of a change
	DebounceMax time.Duration `yaml:"debounce_max"` // the longest such wait
	MaxStale    time.Duration `yaml:"max_stale"`    // age at which OnStale acts; 0: never
	OnStale     string        `yaml:"on_stale"`     // unready | exit
}

// OnChange says what a change does to the program.
type OnChange struct {
	Env   string     `yaml:"env"`   // restart | exit | none
	Files FileAction `yaml:"files"` // none | restart | a signal
}

// Child says how the program is stopped.
type Child struct {
	StopSignal  Signal        `yaml:"stop_signal"`
	StopTimeout time.Duration `yaml:"stop_timeout"` // until KILL, at a restart of ours
}

// HTTP is the endpoint for probes, metrics and refresh.
type HTTP struct {
	Listen    string `yaml:"listen"`     // host:port, :port or unix:/path; empty: off
	TokenFile string `yaml:"token_file"` // bearer token for what is not open
	TLSCert   string `yaml:"tls_cert"`   // PEM
	TLSKey    string `yaml:"tls_key"`    // PEM
	Insecure  bool   `yaml:"insecure"`   // more than probes and metrics, beyond loopback, without TLS
}

// Log says what goes to stderr.
type Log struct {
	Level  slog.Level `yaml:"level"`
	Format string     `yaml:"format"` // text | json
}

// Default is the declaration of an empty file.
func Default() Config {
	return Config{
		Version: 1,
		KMS: KMS{
			Network:      "public",
			Timeout:      10 * time.Second,
			StartTimeout: 60 * time.Second,
			Concurrency:  8,
			RateLimit:    50,
		},
		Auth:    map[string]Auth{DefaultAuth: {Type: "chain"}},
		ScanEnv: true,
		Env:     map[string]Text{},
		Files: Files{
			Disk:  "refuse",
			Mode:  0o400,
			Grace: 30 * time.Second,
			Items: map[string]Item{},
		},
		Watch: Watch{
			Interval:    60 * time.Second,
			Jitter:      0.1,
			Debounce:    2 * time.Second,
			DebounceMax: 10 * time.Second,
			OnStale:     "unready",
		},
		OnChange: OnChange{Env: "restart"},
		Child:    Child{StopSignal: defaultStopSignal, StopTimeout: 30 * time.Second},
		Sealed:   Sealed{MaxAge: 24 * time.Hour},
		Log:      Log{Format: "text"},
	}
}

// ModeOf is the permission bits of an item.
func (f Files) ModeOf(item Item) fs.FileMode {
	if item.Mode != 0 {
		return fs.FileMode(item.Mode)
	}
	return fs.FileMode(f.Mode)
}
