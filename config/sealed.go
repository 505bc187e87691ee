package config

import (
	"path"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// Sealed is the encrypted file of the last good values, for a start while KMS is away.
type Sealed struct {
	File       string        `yaml:"file"`          // empty: none is kept
	Recipients []string      `yaml:"recipients"`    // age recipients; none: the identity's own
	Identity   string        `yaml:"identity_file"` // an age identity; may begin with ${CREDENTIALS_DIRECTORY}/
	MaxAge     time.Duration `yaml:"max_age"`       // of values that a start may still use
}

// Where max_stale does not say, this many intervals without an answer make a secret
// stale, and no less than a moment: a busy machine polls late.
const (
	missedPolls = 3
	aMoment     = 10 * time.Second
)

// StaleAfter is the age at which a secret counts as stale.
func (w Watch) StaleAfter() time.Duration {
	if w.MaxStale > 0 {
		return w.MaxStale
	}
	return max(missedPolls*w.Interval, aMoment)
}

func (d *decoder) validateStale(c *Config) {
	d.oneOf("watch.on_stale", c.Watch.OnStale, "unready", "exit")
	if most := 2 * c.Watch.Interval; c.Watch.MaxStale < 0 || c.Watch.MaxStale > 0 && c.Watch.MaxStale < most {
		d.fault("watch.max_stale", "want 0s (for ever), or at least twice watch.interval (%s), got %s", most, c.Watch.MaxStale)
	}
	if c.Watch.OnStale == "exit" && c.Watch.MaxStale == 0 && !d.faulted["watch.max_stale"] {
		d.fault("watch.on_stale", "exit needs an age: set watch.max_stale")
	}
}

func (d *decoder) validateSealed(c *Config) {
	s := c.Sealed
	if least := 2 * c.Watch.Interval; s.MaxAge <= 0 || s.File != "" && s.MaxAge < least { // or the file could be too old between two polls
		d.fault("sealed.max_age", "want at least twice watch.interval (%s), got %s", least, s.MaxAge)
	}
	for _, text := range s.Recipients {
		if !isRecipient(text) { // not quoted: it may be an identity in the wrong place
			d.fault("sealed.recipients", "want age recipients: age1...")
		}
	}
	if s.File == "" {
		if s.Identity != "" || len(s.Recipients) > 0 {
			d.fault("sealed.file", "want the path of the file to keep")
		}
		return
	}
	if !path.IsAbs(s.File) || path.Clean(s.File) != s.File {
		d.fault("sealed.file", "want a clean absolute path, got %q", s.File)
	}
	switch name, credential := strings.CutPrefix(s.Identity, CredentialsDir); {
	case s.Identity == "":
		d.fault("sealed.identity_file", "want the path of an age identity: without it the file can't be opened at a start")
	case d.isContents("sealed.identity_file", s.Identity):
	case strings.HasPrefix(strings.ToUpper(s.Identity), "AGE-"):
		d.fault("sealed.identity_file", "want the path of a file that holds the identity, not the identity")
	case credential && (name == "" || strings.Contains(name, "/")), !credential && !path.IsAbs(s.Identity):
		d.fault("sealed.identity_file", "want an absolute path, or %sNAME, got %q", CredentialsDir, s.Identity)
	}
}

// isRecipient tells whether text is a recipient of age: a key of its own kinds, or a
// plugin's.
func isRecipient(text string) bool {
	if _, err := age.ParseX25519Recipient(text); err == nil {
		return true
	}
	if _, err := age.ParseHybridRecipient(text); err == nil {
		return true
	}
	name, _, err := plugin.ParseRecipient(text)
	return err == nil && name != "" && name != "pq" // age1pq1... is age's own
}
