package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/inject"
	"github.com/kmsrun/kmsrun/render"
)

const checkLong = `Check a declaration without asking KMS or starting anything, and explain it: which
variable and file comes from which secret, what a change of it will do, and what is
doubtful. It takes the flags of exec, and never prints a value. With --sidecar it
checks what kmsrun sidecar would say.

The exit status is 0 when the declaration is fine, 2 when it or the command line is
wrong.`

// statusWrong is check's exit status for what is wrong.
const statusWrong = 2

// statusError is a failure with an exit status of its own.
type statusError struct {
	status int
	error
}

func (e *statusError) Unwrap() error { return e.error }

func wrong(err error) error {
	if err == nil {
		return nil
	}
	return &statusError{statusWrong, err}
}

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "check [flags] [-- COMMAND [ARG...]]",
		Short:                 "Validate and explain a declaration",
		Long:                  checkLong,
		Example:               "  kmsrun check -c kmsrun.yaml\n  kmsrun check -c kmsrun.yaml --output json",
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	addExec(flags)
	flags.String("output", "text", "`format` of the answer: text or json")
	flags.Bool("sidecar", false, "check it as a declaration of kmsrun sidecar")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return wrong(fmt.Errorf("%w; see %s --help", err, cmd.CommandPath()))
	})
	cmd.RunE = func(cmd *cobra.Command, argv []string) error { return wrong(runCheck(cmd, argv)) }
	return cmd
}

// checked is the answer of check.
type checked struct {
	OK     bool           `json:"ok"`
	Faults []config.Fault `json:"faults,omitempty"`
	Dir    string         `json:"dir,omitempty"` // of the files
	Uses   []config.Use   `json:"uses,omitempty"`
	Listen []string       `json:"sockets,omitempty"`
	Doubts []string       `json:"warnings,omitempty"`
}

func runCheck(cmd *cobra.Command, argv []string) error {
	flags := cmd.Flags()
	if err := readTwins(flags); err != nil {
		return err
	}
	output, _ := flags.GetString("output")
	if output != "text" && output != "json" {
		return fmt.Errorf("--output: want text or json, got %q", output)
	}
	if len(argv) > 0 && cmd.ArgsLenAtDash() != 0 {
		return fmt.Errorf("unexpected argument %q: want kmsrun check [flags] [-- COMMAND [ARG...]]", argv[0])
	}
	sidecar, _ := flags.GetBool("sidecar")
	if sidecar {
		if err := ofSidecar(flags, argv); err != nil {
			return err
		}
	}
	var dev *devEmulator
	if seed, _ := flags.GetString("dev"); seed != "" {
		dev = &devEmulator{endpoint: "http://127.0.0.1"} // it is not started: nobody will call
	}
	c, err := load(flags, dev)
	if err != nil {
		if output == "json" {
			_ = writeJSON(cmd.OutOrStdout(), checked{Faults: faultsOf(err)}) // stderr tells it too
		}
		return err
	}
	run := config.Watched
	if once, _ := flags.GetBool("once"); sidecar {
		run = config.Sidecar
	} else if once {
		run = config.Once
		if err := becomes(c); err != nil {
			return err
		}
	}
	answer := checked{OK: true, Uses: c.Explain(run), Doubts: c.Doubts()}
	for _, socket := range c.Child.Sockets {
		answer.Listen = append(answer.Listen, socket.String())
	}
	if c.NeedsDir() {
		var doubts []string
		answer.Dir, doubts = render.Inspect(c.Files, os.LookupEnv)
		answer.Doubts = append(answer.Doubts, doubts...)
	}
	if output == "json" {
		return writeJSON(cmd.OutOrStdout(), answer)
	}
	return writeTable(cmd.OutOrStdout(), answer)
}

// ofSidecar refuses what kmsrun sidecar would.
func ofSidecar(flags *pflag.FlagSet, argv []string) error {
	fault := noCommand(nil, argv)
	known := sidecarCommand(nil, nil).Flags()
	flags.Visit(func(f *pflag.Flag) {
		if known.Lookup(f.Name) == nil && f.Name != "sidecar" && f.Name != "output" && fault == nil {
			fault = fmt.Errorf("--%s: kmsrun sidecar has no such flag; see kmsrun sidecar --help", f.Name)
		}
	})
	return fault
}

// faultsOf are the faults of the declaration in an error, for machines.
func faultsOf(err error) []config.Fault {
	var faults []config.Fault
	for _, one := range inject.Wrapped(err) {
		if fault, ok := errors.AsType[*config.Fault](one); ok {
			faults = append(faults, *fault)
		} else {
			faults = append(faults, config.Fault{Text: one.Error()})
		}
	}
	return faults
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func writeTable(w io.Writer, answer checked) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { _, _ = fmt.Fprintln(table, strings.Join(cells, "\t")) }
	if len(answer.Uses) > 0 {
		row("WHAT", "NAME", "AS", "SECRET", "SELECTOR", "STAGE", "REGION", "AUTH", "IF ABSENT", "A CHANGE")
	}
	for _, use := range answer.Uses {
		stage := use.Stage
		if use.Version != "" {
			stage = "version " + use.Version
		}
		row(use.Kind, use.Name, use.As, use.Secret, orDash(use.Selector), stage, orDash(use.Region), use.Auth, use.Absent, use.Change)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	var lines []string
	if len(answer.Uses) == 0 {
		lines = append(lines, "no secrets are declared")
	}
	if answer.Dir != "" {
		lines = append(lines, "files go to "+answer.Dir)
	}
	for _, socket := range answer.Listen {
		lines = append(lines, "the program listens on "+socket+", which stays open over restarts")
	}
	for _, doubt := range answer.Doubts {
		lines = append(lines, "warning: "+doubt)
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
