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
	Version  int             `yaml:"version"`   // of this format: 1
	KMS      KMS             `yaml:"kms"`       // where the secrets are, and how to ask for them
	Auth     map[string]Auth `yaml:"auth"`      // by the name that ?auth= says
	ScanEnv  bool            `yaml:"scan_env"`  // resolve inherited references
	Env      map[string]Text `yaml:"env"`       // variables: references, text with ${reference|filter} inside, or plain text
	EnvFrom  []EnvFrom       `yaml:"env_from"`  // variables made of the keys of secrets
	Files    Files           `yaml:"files"`     // which files the program gets, and where
	Watch    Watch           `yaml:"watch"`     // how to look for new versions
	OnChange OnChange        `yaml:"on_change"` // what a change does to the program
	Verify   Verify          `yaml:"verify"`    // a command that judges a change before anybody is told
	Health   Health          `yaml:"health"`    // how the program is watched after a change
	Child    Child           `yaml:"child"`     // how the program is stopped
	Sealed   Sealed          `yaml:"sealed"`    // the last good values, for a start during an outage
	HTTP     HTTP            `yaml:"http"`      // the endpoint for probes, metrics and refresh
	Log      Log             `yaml:"log"`       // what goes to stderr

	// Scanned are the names in Env that are inherited references: env_from beats them.
	Scanned map[string]bool `yaml:"-"`
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
	Dir        string          `yaml:"dir"`          // empty: the first usable of the usual places
	Disk       string          `yaml:"disk"`         // refuse | allow a directory that is not in memory
	Mode       Mode            `yaml:"mode"`         // of each file
	DirMode    DirMode         `yaml:"dir_mode"`     // auto: 0700, or 0711 when an owner differs from ours
	Owner      Owner           `yaml:"owner"`        // of each file; empty: child.user and group, else ours
	KeepOnExit string          `yaml:"keep_on_exit"` // auto | true | false; auto: exec removes its files, --once and sidecar leave them
	Grace      time.Duration   `yaml:"grace"`        // how long a generation stays after the flip away from it
	Items      map[string]Item `yaml:"items"`        // by path below the directory
}

// Item is one file.
type Item struct {
	From         Text   `yaml:"from,short"`    // a reference, or text with references
	Template     string `yaml:"template"`      // path of a Go template, from the declaration's directory
	TemplateText string `yaml:"template_text"` // a Go template
	Format       string `yaml:"format"`        // raw | json | yaml | dotenv | docker-env | properties | profile; empty: raw
	Decode       string `yaml:"decode"`        // auto | none | base64; empty: auto, binary secrets are decoded
	Mode         Mode   `yaml:"mode"`          // 0: Files.Mode
	Owner        Owner  `yaml:"owner"`         // empty: Files.Owner

	OnChange FileAction `yaml:"on_change"` // its zero value: OnChange.Files

	// Source is the template that Template or TemplateText is.
	Source Template `yaml:"-"`
}

// EnvFrom makes a variable of each key of a secret.
type EnvFrom struct {
	From    Text     `yaml:"from,short"` // a reference to an object, such as kms://NAME#*
	Prefix  string   `yaml:"prefix"`     // of each name
	Case    string   `yaml:"case"`       // keep | upper | snake; empty: keep
	Collide string   `yaml:"collide"`    // error | keep | replace a name of an earlier entry; empty: error
	Include []string `yaml:"include"`    // globs of keys; empty: all
	Exclude []string `yaml:"exclude"`    // globs of keys
}

// Watch says how to look for new versions.
type Watch struct {
	Interval    time.Duration `yaml:"interval"`     // between two reads of one secret
	Jitter      float64       `yaml:"jitter"`       // fraction of the interval, 0 to 1
	Debounce    time.Duration `yaml:"debounce"`     // wait for companions of a change
	DebounceMax time.Duration `yaml:"debounce_max"` // the longest such wait
	// RotationInterval is between two reads around the date of a rotation.
	RotationInterval time.Duration `yaml:"rotation_interval"`
	Reload           string        `yaml:"reload"`    // none | templates | all (the declaration itself too)
	MaxStale         time.Duration `yaml:"max_stale"` // age at which OnStale acts; 0: never
	OnStale          string        `yaml:"on_stale"`  // unready | exit
}

// OnChange says what a change does to the program.
type OnChange struct {
	Env   string     `yaml:"env"`   // restart | exit | none
	Files FileAction `yaml:"files"` // where only files changed

	Splay       time.Duration `yaml:"splay"`        // a restart or exit waits a random part of it
	MinInterval time.Duration `yaml:"min_interval"` // from one restart of ours to the next
	MaxPerHour  int           `yaml:"max_per_hour"` // restarts of ours; 0: no limit
}

// Child says as whom the program runs, and how it is stopped.
type Child struct {
	User        string        `yaml:"user"`      // name or id; empty: ours
	Group       string        `yaml:"group"`     // name or id; empty: that of the user
	Chdir       string        `yaml:"chdir"`     // empty: ours
	PreStop     []string      `yaml:"pre_stop"`  // command to run before the program is stopped
	Leftovers   string        `yaml:"leftovers"` // auto | stop | leave what is left of its group when it has ended
	StopSignal  Signal        `yaml:"stop_signal"`
	StopTimeout time.Duration `yaml:"stop_timeout"` // until KILL, at a restart of ours
	Sockets     []Socket      `yaml:"sockets"`      // it listens on: [NAME=]tcp://HOST:PORT or unix:/PATH, kept open from start to start
	Notify      string        `yaml:"notify"`       // auto | always | never tells systemd by itself that it is ready
}

// What is known of a program that systemd waits for.
const (
	NotifyAuto   = "auto"
	NotifyAlways = "always"
	NotifyNever  = "never"
)

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
			Disk:       "refuse",
			Mode:       0o400,
			KeepOnExit: "auto",
			Grace:      30 * time.Second,
			Items:      map[string]Item{},
		},
		Watch: Watch{
			Interval:    60 * time.Second,
			Jitter:      0.1,
			Debounce:    2 * time.Second,
			DebounceMax: 10 * time.Second,
			OnStale:     "unready", Reload: "templates",

			RotationInterval: 5 * time.Second,
		},
		OnChange: OnChange{Env: "restart", MinInterval: 10 * time.Second, MaxPerHour: 20},
		Verify:   Verify{Timeout: 10 * time.Second, When: VerifyBefore},
		Health:   Health{Settle: 10 * time.Second, Within: 30 * time.Second, Interval: time.Second},
		Child:    Child{StopSignal: defaultStopSignal, StopTimeout: 30 * time.Second, Leftovers: "auto", Notify: NotifyAuto},
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
