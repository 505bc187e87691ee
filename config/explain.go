package config

import (
	"cmp"
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/secret"
)

// Use says where one variable or file comes from, and what a change of it does.
type Use struct {
	Kind     string `json:"kind"` // variable, variables (of env_from) or file
	Name     string `json:"name"`
	Secret   string `json:"secret"`
	Selector string `json:"selector,omitempty"`
	Stage    string `json:"stage,omitempty"`
	Version  string `json:"version,omitempty"`
	Region   string `json:"region,omitempty"`
	Auth     string `json:"auth"`
	As       string `json:"as"` // env, file or fd; for files their format
	Absent   string `json:"absent"`
	Change   string `json:"change"`
}

// Run is what a declaration is for.
type Run int

// The runs there are.
const (
	Watched Run = iota // a program, whose secrets are watched
	Once               // a program that kmsrun becomes
	Sidecar            // files alone
)

// Explain lists the use of every reference: variables, then env_from, then files.
func (c Config) Explain(run Run) []Use {
	var uses []Use
	add := func(kind, name, as string, file bool, refs []secret.Ref) {
		for _, ref := range refs {
			item := name
			if ref.As == secret.AsFile {
				file, item = true, VariableFiles+"/"+name
			}
			use := c.use(run, ref, file, c.ActionOf(item))
			use.Kind, use.Name, use.As = kind, name, cmp.Or(string(ref.As), as)
			uses = append(uses, use)
		}
	}
	for _, name := range sortedKeys(c.Env) {
		add("variable", name, "env", false, c.Env[name].Refs())
	}
	for _, from := range c.EnvFrom {
		add("variables", from.Prefix+"*", "env", false, from.From.Refs())
	}
	for _, name := range sortedKeys(c.Files.Items) {
		item := c.Files.Items[name]
		as := cmp.Or(item.Format, "raw")
		if item.Source.Text != "" {
			as = "template"
		}
		add("file", name, as, true, append(item.From.Refs(), item.Source.Refs...))
	}
	return uses
}

func (c Config) use(run Run, ref secret.Ref, file bool, action FileAction) Use {
	use := Use{
		Secret: ref.ID.SecretName(), Selector: ref.Selector.Text, Stage: ref.ID.Stage, Version: ref.ID.Version,
		Region: cmp.Or(ref.ID.Region, c.KMS.Region), Auth: cmp.Or(ref.ID.Auth, DefaultAuth), Absent: "the program does not start",
	}
	switch {
	case ref.HasDefault:
		use.Absent = "the default"
	case ref.Optional:
		use.Absent = "left out"
	case run == Sidecar:
		use.Absent = "nothing is written"
	}
	switch {
	case ref.ID.Pinned():
		use.Change = "never: pinned"
	case run == Once:
		use.Change = "none: --once watches nothing"
	case file:
		use.Change = "new file" + action.consequence()
	default:
		use.Change = map[string]string{
			"restart": "restarts the program", "exit": "ends the program", "none": "none: a running program can't be given a variable",
		}[c.OnChange.Env]
	}
	return use
}

func (a FileAction) consequence() string {
	switch {
	case a.Restart:
		return ", then a restart"
	case a.Signal != 0:
		number := syscall.Signal(a.Signal)
		to := ""
		if !a.ToProgram() {
			to = " to " + cmp.Or(a.Process, "the process in "+a.PIDFile)
		}
		return ", then " + cmp.Or(unix.SignalName(number), fmt.Sprintf("signal %d", int(number))) + to
	case len(a.Exec) > 0:
		return ", then " + a.Exec[0]
	case a.HTTP != "":
		return ", then a POST"
	case a.Touch != "":
		return ", then a touch of " + a.Touch
	default:
		return ""
	}
}

// Doubts are what a person should know of a declaration before it runs: its warnings,
// and an endpoint that others can reach.
func (c Config) Doubts() []string {
	var doubts []string
	for _, w := range c.Warnings {
		doubts = append(doubts, w.Error())
	}
	if c.HTTP.Listen != "" && !c.HTTP.Loopback() {
		open := "serves probes and metrics only, for want of TLS"
		if c.HTTP.Insecure || c.HTTP.TLSCert != "" {
			open = "its refresh is open to whoever has the token of http.token_file"
		}
		doubts = append(doubts, fmt.Sprintf("http.listen: %s is not loopback: other machines reach it; it %s", strings.TrimSpace(c.HTTP.Listen), open))
	}
	return doubts
}
