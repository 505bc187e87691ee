package config

import (
	"slices"
	"strconv"
	"strings"
)

// forPrograms are the keys, or what keys begin with, that say something of a program.
var forPrograms = []string{"child.", "health.", "on_change.env", "on_change.splay", "on_change.min_interval", "on_change.max_per_hour"}

// validateSidecar refuses what a sidecar could do nothing with, since it starts no
// program.
func (d *decoder) validateSidecar(c *Config) {
	for _, name := range sortedKeys(c.Env) {
		d.fault("env."+name, "a sidecar starts no program that a variable could be given to: want a file")
	}
	for i := range c.EnvFrom {
		d.fault("env_from."+strconv.Itoa(i), "a sidecar starts no program that variables could be given to: want a file")
	}
	above := "." // of a key in it, the fault is told
	for _, key := range sortedKeys(d.where) {
		if slices.ContainsFunc(forPrograms, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) && !d.faultedIn(key) && !strings.HasPrefix(key, above) {
			d.fault(key, "a sidecar starts no program")
			above = key + "."
		}
	}
	unread := slices.ContainsFunc(d.faults, func(f *Fault) bool { return f.Key == "" || f.Key == d.file })
	if len(c.Files.Items) == 0 && !unread {
		d.fault("files.items", "a sidecar is there for files: declare some, or want -f NAME=REF")
	}
	d.validateSidecarAction("on_change.files", c.OnChange.Files)
	for _, name := range sortedKeys(c.Files.Items) {
		d.validateSidecarAction("files.items."+name+".on_change", c.Files.Items[name].OnChange)
	}
}

func (d *decoder) validateSidecarAction(key string, a FileAction) {
	switch {
	case d.faultedIn(key):
	case a.Restart:
		d.fault(key, "a sidecar starts no program, and so restarts none: want a signal with process or pid_file, exec, http or touch")
	case a.ToProgram():
		d.fault(key, "a sidecar starts no program that could be signalled: want process or pid_file with the signal, as in {signal: SIGHUP, process: nginx}")
	}
}
