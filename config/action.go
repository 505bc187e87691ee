package config

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

// FileAction is what a change of files alone does: at most one of its kinds. The zero
// value is that nothing was said.
type FileAction struct {
	None    bool   `yaml:"-"`
	Restart bool   `yaml:"-"`
	Signal  Signal `yaml:"signal"` // 0: none. To the program, unless Process or PIDFile says another

	Process string        `yaml:"process"`  // by the name or path of its executable, in our PID namespace
	PIDFile string        `yaml:"pid_file"` // that holds the number of the process
	Exec    []string      `yaml:"exec"`     // command and its arguments
	Timeout time.Duration `yaml:"timeout"`  // of Exec; 0: ExecTimeout
	HTTP    string        `yaml:"http"`     // URL to post the names and version ids to
	Touch   string        `yaml:"touch"`    // file whose modification time is set
}

// ExecTimeout is how long the command of an action may take, where nothing is said.
const ExecTimeout = 30 * time.Second

// UnmarshalText reads none, restart or a signal.
func (a *FileAction) UnmarshalText(text []byte) error {
	switch string(text) {
	case "none":
		*a = FileAction{None: true}
	case "restart":
		*a = FileAction{Restart: true}
	default:
		var s Signal
		if s.UnmarshalText(text) != nil {
			return fmt.Errorf("want none, restart, a signal such as SIGHUP, or a mapping with signal, exec, http or touch; got %q", text)
		}
		*a = FileAction{Signal: s}
	}
	return nil
}

// Unsaid tells whether nothing was said.
func (a FileAction) Unsaid() bool {
	return !a.None && !a.Restart && a.Signal == 0 && len(a.Exec) == 0 && a.HTTP == "" && a.Touch == ""
}

// ToProgram tells whether the action is a signal to the program that we run.
func (a FileAction) ToProgram() bool {
	return a.Signal != 0 && a.Process == "" && a.PIDFile == ""
}

// ActionOf is what a change of an item does.
func (c Config) ActionOf(item string) FileAction {
	if a := c.Files.Items[item].OnChange; !a.Unsaid() {
		return a
	}
	return c.OnChange.Files
}

func (d *decoder) validateActions(c *Config) {
	d.validateAction("on_change.files", c.OnChange.Files)
	for _, name := range sortedKeys(c.Files.Items) {
		d.validateAction("files.items."+name+".on_change", c.Files.Items[name].OnChange)
	}
}

func (d *decoder) validateAction(key string, a FileAction) {
	_, said := d.where[key]
	if !said || d.faultedIn(key) {
		return
	}
	var kinds []string
	for kind, is := range map[string]bool{
		"signal": a.Signal != 0, "exec": len(a.Exec) > 0, "http": a.HTTP != "", "touch": a.Touch != "",
	} {
		if is {
			kinds = append(kinds, kind)
		}
	}
	if len(kinds) > 1 {
		slices.Sort(kinds)
		d.fault(key, "want one of signal, exec, http and touch, got %s", strings.Join(kinds, " and "))
		return
	}
	if (a.Process != "" || a.PIDFile != "") && a.Signal == 0 {
		d.fault(key, "process and pid_file go with signal")
	}
	if a.Process != "" && a.PIDFile != "" {
		d.fault(key, "process and pid_file exclude each other")
	}
	if strings.Contains(a.Process, "/") && !path.IsAbs(a.Process) {
		d.fault(key+".process", "want the name of an executable or its absolute path, got %q", a.Process)
	}
	d.absolute(key+".pid_file", a.PIDFile)
	d.absolute(key+".touch", a.Touch)
	d.command(key+".exec", a.Exec)
	d.validateActionTimeout(key+".timeout", a)
	if a.HTTP != "" && !isURL(a.HTTP) {
		d.fault(key+".http", "want http://HOST/PATH or https://HOST/PATH, with no user") // not quoted: it may hold a token
	}
	if len(kinds) == 0 && !d.faultedIn(key) && d.saidIn(key) {
		d.fault(key, "want one of signal, exec, http and touch, got none of them")
	}
}

// saidIn tells whether anything in a mapping was said.
func (d *decoder) saidIn(key string) bool {
	for said := range d.where {
		if strings.HasPrefix(said, key+".") {
			return true
		}
	}
	return false
}

func (d *decoder) validateActionTimeout(key string, a FileAction) {
	_, said := d.where[key]
	switch {
	case !said:
	case len(a.Exec) == 0:
		d.fault(key, "goes with exec")
	case a.Timeout <= 0:
		d.fault(key, "want more than 0s, got %s", a.Timeout)
	}
}

// faultedIn tells whether a key has a fault, or one in it.
func (d *decoder) faultedIn(key string) bool {
	for faulted := range d.faulted {
		if faulted == key || strings.HasPrefix(faulted, key+".") {
			return true
		}
	}
	return false
}

func (d *decoder) absolute(key, file string) {
	if file != "" && !path.IsAbs(file) {
		d.fault(key, "want an absolute path, got %q", file)
	}
}

func (d *decoder) command(key string, argv []string) {
	if len(argv) > 0 && argv[0] == "" {
		d.fault(key, "want a command and its arguments, got an empty command")
	}
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "http" || u.Scheme == "https")
}
