package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// settings maps flags to the keys of the declaration that they set.
var settings = []struct {
	flag, usage string
	key         []string
}{
	{"region", "`region` of the secrets, such as cn-hangzhou", []string{"kms", "region"}},
	{"endpoint", "KMS endpoint: a `host`, or http://127.0.0.1:PORT for an emulator", []string{"kms", "endpoint"}},
	{"ca-file", "PEM `file` of a private CA to trust besides the system's", []string{"kms", "ca_file"}},
	{"listen", "`address` to serve probes and metrics on: 127.0.0.1:9153, :9153 or unix:/PATH", []string{"http", "listen"}},
	{"log-level", "lowest `level` to log: debug, info (default), warn or error", []string{"log", "level"}},
	{"log-format", "`format` of the log: text (default) or json", []string{"log", "format"}},
	{"dir", "`directory` for files, in memory (default: the first usable of $RUNTIME_DIRECTORY, /run/kmsrun, $XDG_RUNTIME_DIR/kmsrun, /dev/shm)", []string{"files", "dir"}},
	{"interval", "`duration` between two polls of a secret (default 60s)", []string{"watch", "interval"}},
	{"on-env-change", "`action` when a variable changed: restart (default), exit or none", []string{"on_change", "env"}},
	{"on-file-change", "`action` when only files changed: none (default), restart, a signal such as SIGHUP, or one for others such as {http: URL}", []string{"on_change", "files"}},
	{"stop-signal", "`signal` that stops the program for a restart (default SIGTERM)", []string{"child", "stop_signal"}},
	{"stop-timeout", "`duration` from that signal to SIGKILL (default 30s)", []string{"child", "stop_timeout"}},
}

// addDeclaration defines the flags that say what is declared, as far as files go.
func addDeclaration(flags *pflag.FlagSet) {
	flags.StringP("config", "c", "", "declaration `file`")
	flags.StringArrayP("file", "f", nil, "file from a reference: `NAME=REF` (repeatable)")
	flags.String("dev", "", "run on an embedded emulator that holds the secrets of this seed `file`: no account needed")
	flags.String("stage", "", "stage `label` of all references that say none, such as ACSPrevious (default ACSCurrent)")
}

// addExec defines the flags of exec.
func addExec(flags *pflag.FlagSet) {
	addDeclaration(flags)
	flags.StringArrayP("env", "e", nil, "variable from a reference: `NAME=REF` (repeatable)")
	flags.StringArray("socket", nil, "listening socket that the command gets as systemd would give it, kept open over restarts: `[NAME=]ADDRESS`, with tcp://HOST:PORT or unix:/PATH (repeatable)")
	flags.Bool("no-scan-env", false, "leave inherited references alone")
	flags.Bool("once", false, "fetch, render, then become the command: no watching, no second process")
	flags.Bool("pristine", false, "start from an empty environment instead of the inherited one")
	flags.Bool("pass-credentials", false, "let the command inherit the access key variables that kmsrun used")
	addSettings(flags)
}

// addSettings defines the flags of settings, or those named; config parses and checks
// their text.
func addSettings(flags *pflag.FlagSet, names ...string) {
	for _, s := range settings {
		if len(names) == 0 || slices.Contains(names, s.flag) {
			flags.String(s.flag, "", s.usage)
		}
	}
}

// twin is the environment variable that stands for a flag.
func twin(flag string) string {
	return config.TwinPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readTwins sets the flags that were not given from their environment twins. A
// repeatable flag takes one entry per line.
func readTwins(flags *pflag.FlagSet) error {
	var fault error
	flags.VisitAll(func(f *pflag.Flag) {
		value := os.Getenv(twin(f.Name)) // an empty one says nothing, as compose files pass unset variables
		if _, done := f.Annotations[fromTwin]; done || f.Changed || value == "" || f.Name == "help" || fault != nil {
			return
		}
		values := []string{value}
		if _, repeatable := f.Value.(pflag.SliceValue); repeatable {
			values = strings.FieldsFunc(value, func(r rune) bool { return r == '\n' })
		}
		for _, value := range values {
			if f.Value.Set(value) != nil { // only a bool's can fail
				fault = fmt.Errorf("%s: want true or false, got %q", twin(f.Name), value)
			}
		}
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[fromTwin] = nil
	})
	return fault
}

// fromTwin annotates a flag that its twin has set.
const fromTwin = "kmsrun_from_twin"

// origin says where a flag's value came from, for faults; ok is false when it was
// not set at all.
func origin(flags *pflag.FlagSet, name string) (where string, ok bool) {
	f := flags.Lookup(name)
	if f == nil {
		return "", false // not a flag of this command
	}
	if _, ok := f.Annotations[fromTwin]; ok {
		return twin(name), true
	}
	return "--" + name, f.Changed
}

// overrides turns the flags that are set into overrides of the declaration.
func overrides(flags *pflag.FlagSet) ([]config.Override, error) {
	var all []config.Override
	for _, s := range settings {
		if where, ok := origin(flags, s.flag); ok {
			all = append(all, config.Override{Key: s.key, Value: flags.Lookup(s.flag).Value.String(), From: where})
		}
	}
	if where, ok := origin(flags, "no-scan-env"); ok {
		off, _ := flags.GetBool("no-scan-env")
		all = append(all, config.Override{Key: []string{"scan_env"}, Value: strconv.FormatBool(!off), From: where})
	}
	if sockets, _ := flags.GetStringArray("socket"); len(sockets) > 0 {
		where, _ := origin(flags, "socket")
		all = append(all, config.Override{Key: []string{"child", "sockets"}, Value: strings.Join(sockets, "\n"), From: where})
	}
	if flags.Lookup("no-scan-env") == nil { // inherited references are for a program
		all = append(all, config.Override{Key: []string{"scan_env"}, Value: "false"})
	}
	if where, ok := origin(flags, "endpoint"); ok && flags.Lookup("dev").Value.String() != "" {
		return nil, fmt.Errorf("%s: --dev brings its own endpoint: want one of them", where)
	}
	if where, ok := origin(flags, "stage"); ok {
		if label := flags.Lookup("stage").Value.String(); !secret.IsLabel(label) {
			return nil, fmt.Errorf("%s: %q is not a label", where, label)
		}
	}
	for flag, key := range map[string][]string{"env": {"env"}, "file": {"files", "items"}} {
		entries, _ := flags.GetStringArray(flag)
		where, _ := origin(flags, flag)
		for i, entry := range entries {
			name, value, ok := strings.Cut(entry, "=")
			if !ok || name == "" {
				return nil, fmt.Errorf("%s, entry %d: want NAME=REFERENCE", where, i+1) // not quoted: it may be a line of a literal
			}
			all = append(all, config.Override{Key: append(slices.Clip(key), name), Value: value, From: where + " " + name})
		}
	}
	return all, nil
}
