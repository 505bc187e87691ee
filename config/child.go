package config

import (
	"path"
	"strings"
)

func (d *decoder) validateChild(c *Config) {
	d.validateSockets(c)
	d.oneOf("child.notify", c.Child.Notify, NotifyAuto, NotifyAlways, NotifyNever)
	d.oneOf("child.leftovers", c.Child.Leftovers, "auto", LeftoversStop, LeftoversLeave)
	if c.Child.Chdir != "" && !path.IsAbs(c.Child.Chdir) {
		d.fault("child.chdir", "want an absolute path, got %q", c.Child.Chdir)
	}
	if strings.ContainsRune(c.Child.User, ':') {
		d.fault("child.user", "want a name or a number, and the group in child.group, got %q", c.Child.User)
	}
	if len(c.Child.PreStop) > 0 && c.Child.PreStop[0] == "" {
		d.fault("child.pre_stop", "want a command and its arguments, got an empty command")
	}
	if c.OnChange.Splay < 0 {
		d.fault("on_change.splay", "want 0s or more, got %s", c.OnChange.Splay)
	}
	if c.OnChange.MinInterval < 0 {
		d.fault("on_change.min_interval", "want 0s or more, got %s", c.OnChange.MinInterval)
	}
	if c.OnChange.MaxPerHour < 0 {
		d.fault("on_change.max_per_hour", "want 0 (no limit) or more, got %d", c.OnChange.MaxPerHour)
	}
}

// What child.leftovers may be besides auto: stop what is left of the program's group
// when it has ended, or leave it.
const (
	LeftoversStop  = "stop"
	LeftoversLeave = "leave"
)
