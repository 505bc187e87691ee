package seal

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/kmsrun/kmsrun/config"
)

// keys are what opens the file, and what it is sealed to.
type keys struct {
	identities []age.Identity
	recipients []age.Recipient
	plugins    bool // some of them are programs
}

// New reads the identity and makes sure that it is nobody else's: not beside the file,
// not on its mount, and not readable by others. The error is a *config.Fault. lookup
// finds variables of our own environment.
func New(c config.Config, lookup func(string) (string, bool), log *slog.Logger) (*File, error) {
	f := &File{path: c.Sealed.File, maxAge: c.Sealed.MaxAge, origin: origin{Region: c.KMS.Region, Endpoint: c.KMS.Endpoint}}
	if c.Watch.OnStale == "exit" && c.Watch.MaxStale > 0 { // older ones would end the program at once
		f.maxAge = min(f.maxAge, c.Watch.MaxStale)
	}
	path := c.Sealed.Identity
	if name, ok := strings.CutPrefix(path, config.CredentialsDir); ok {
		dir, set := lookup("CREDENTIALS_DIRECTORY")
		if !set || dir == "" {
			return nil, fault("CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential=%s:PATH", name)
		}
		path = filepath.Join(dir, name)
	}
	file, err := openAtOnce(path)
	if err != nil {
		return nil, fault("reading the identity: %s", err)
	}
	defer file.Close()
	if err := private(file, f.path); err != nil {
		return nil, err
	}
	ui := pluginUI(log)
	if f.keys, err = readIdentities(file, ui); err != nil {
		return nil, err
	}
	if len(c.Sealed.Recipients) > 0 {
		return f, f.keys.sealTo(c.Sealed.Recipients, ui)
	}
	return f, nil
}

func fault(format string, args ...any) error {
	return &config.Fault{Key: "sealed.identity_file", Text: fmt.Sprintf(format, args...)}
}

// private wants the identity where whoever takes the sealed file does not find it.
func private(identity *os.File, sealed string) error {
	const elsewhere = "whoever copies the one has the other; keep it elsewhere, such as in a systemd credential or a Kubernetes Secret"
	resolved, err := filepath.EvalSymlinks(identity.Name())
	if err != nil {
		return fault("reading the identity: %s", err)
	}
	beside, err := os.Stat(filepath.Dir(resolved))
	if err != nil {
		return fault("reading the identity: %s", err)
	}
	dir, err := os.Open(filepath.Dir(sealed))
	if err != nil {
		return &config.Fault{Key: "sealed.file", Text: fmt.Sprintf("opening its directory: %s", err)}
	}
	defer dir.Close()
	around, err := dir.Stat()
	if err != nil {
		return err
	}
	if os.SameFile(beside, around) {
		return fault("%q lies in the directory of sealed.file: %s", identity.Name(), elsewhere)
	}
	same, err := sameMount(identity, dir)
	if err != nil {
		return fault("finding the mount of %q: %s", identity.Name(), err)
	}
	if same {
		return fault("%q is on the same mount as sealed.file: %s", identity.Name(), elsewhere)
	}
	info, err := identity.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fault("%q is not a file", identity.Name())
	}
	if others, err := openToOthers(identity, info); err != nil || others {
		return fault("%q can be read by others (mode %s): make it mode 0400 (with Kubernetes' fsGroup, in a copy: see docs/outage.md)", identity.Name(), info.Mode())
	}
	return nil
}

// readIdentities reads a file as age-keygen writes it. A fault tells a line's number
// and never its text.
func readIdentities(file *os.File, ui *plugin.ClientUI) (keys, error) {
	var k keys
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		identity, recipient, err := parseIdentity(line, ui)
		if err != nil {
			return keys{}, fault("line %d of %q is not an age identity: want AGE-SECRET-KEY-1... or AGE-PLUGIN-NAME-1...", number, file.Name())
		}
		if _, ok := identity.(*plugin.Identity); ok {
			k.plugins = true
		}
		k.identities, k.recipients = append(k.identities, identity), append(k.recipients, recipient)
	}
	if err := lines.Err(); err != nil {
		return keys{}, fault("reading %q: %s", file.Name(), err)
	}
	if len(k.identities) == 0 {
		return keys{}, fault("%q holds no age identity: age-keygen makes one", file.Name())
	}
	return k, nil
}

func parseIdentity(line string, ui *plugin.ClientUI) (age.Identity, age.Recipient, error) {
	if i, err := age.ParseX25519Identity(line); err == nil {
		return i, i.Recipient(), nil
	}
	if i, err := age.ParseHybridIdentity(line); err == nil {
		return i, i.Recipient(), nil
	}
	i, err := plugin.NewIdentity(line, ui)
	if err != nil {
		return nil, nil, err
	}
	return i, i.Recipient(), nil
}

// sealTo takes the declared recipients in the place of the identity's own, which must
// be among them, or what is written could not be opened. What a plugin's identity
// opens, only its plugin knows.
func (k *keys) sealTo(texts []string, ui *plugin.ClientUI) error {
	own := k.recipients
	k.recipients = nil
	for _, text := range texts {
		recipient, isPlugin, err := parseRecipient(text, ui)
		if err != nil {
			return &config.Fault{Key: "sealed.recipients", Text: "want age recipients: age1..."}
		}
		k.plugins = k.plugins || isPlugin
		k.recipients = append(k.recipients, recipient)
	}
	for _, mine := range own {
		named, ok := mine.(fmt.Stringer)
		if _, isPlugin := mine.(*plugin.Recipient); isPlugin || !ok {
			return nil
		}
		for _, text := range texts {
			if text == named.String() {
				return nil
			}
		}
	}
	return &config.Fault{Key: "sealed.recipients", Text: "the identity of sealed.identity_file is not among them: kmsrun could not open what it writes"}
}

func parseRecipient(text string, ui *plugin.ClientUI) (recipient age.Recipient, isPlugin bool, err error) {
	if r, err := age.ParseX25519Recipient(text); err == nil {
		return r, false, nil
	}
	if r, err := age.ParseHybridRecipient(text); err == nil {
		return r, false, nil
	}
	r, err := plugin.NewRecipient(text, ui)
	return r, true, err
}

// pluginUI is what a plugin meets in the place of a person: nobody is there to answer.
func pluginUI(log *slog.Logger) *plugin.ClientUI {
	nobody := errors.New("nobody is there to answer")
	return &plugin.ClientUI{
		DisplayMessage: func(name, message string) error {
			log.Info("the age plugin says", "plugin", name, "text", message)
			return nil
		},
		RequestValue: func(name, _ string, _ bool) (string, error) {
			log.Warn("the age plugin asks for input, which kmsrun can't give", "plugin", name)
			return "", nobody
		},
		Confirm: func(string, string, string, string) (bool, error) { return false, nobody },
		WaitTimer: func(name string) {
			log.Warn("waiting for the age plugin", "plugin", name, "since", 5*time.Second)
		},
	}
}
