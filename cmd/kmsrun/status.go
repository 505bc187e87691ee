package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/metrics"
)

const statusLong = `Ask a running kmsrun what it does: secrets, versions, ages, last and next poll, the
last action, the program, what is held back. It never prints a value.

It is asked at --addr, else at KMSRUN_LISTEN, else at http.listen of the declaration
(-c, KMSRUN_CONFIG), which says the token and the certificate too.

With --ready it is an exec probe, for images without shell or curl: the exit status
is 0 when the kmsrun is ready and 1 when it is not. Without, it is 1 when no kmsrun
answers, or it does not tell; 125 when the command line or the declaration is wrong.`

// statusSilent is the exit status of status when there is no good answer.
const statusSilent = 1

// askPatience is how long an answer may take.
const askPatience = 5 * time.Second

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:                   "status [flags]",
		Short:                 "Show what a running kmsrun does, or whether it is ready",
		Long:                  statusLong,
		Args:                  cobra.NoArgs,
		Example:               "  kmsrun status --addr 127.0.0.1:9153\n  kmsrun status -c kmsrun.yaml --ready",
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.String("addr", "", "`address` of the kmsrun: 127.0.0.1:9153, :9153 or unix:/PATH")
	flags.StringP("config", "c", "", "its declaration `file`")
	flags.Bool("ready", false, "tell only whether it is ready, by the exit status")
	flags.String("output", "text", "`format` of the answer: text, or json as the kmsrun gives it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runStatus(cmd) }
	return cmd
}

func runStatus(cmd *cobra.Command) error {
	flags := cmd.Flags()
	proc.Harden() // the token is a secret
	if err := readTwins(flags); err != nil {
		return err
	}
	output, _ := flags.GetString("output")
	ready, _ := flags.GetBool("ready")
	switch {
	case output != "text" && output != "json":
		return fmt.Errorf("--output: want text or json, got %q", output)
	case ready && output == "json":
		return errors.New("--ready tells by the exit status: want it without --output")
	}
	settings, err := endpointOf(flags)
	if err != nil {
		return err
	}
	asker, err := metrics.NewAsker(settings)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askPatience)
	defer cancel()
	if ready {
		return silent(asker.Ready(ctx))
	}
	status, text, err := asker.Status(ctx)
	if err != nil {
		return silent(err)
	}
	if output == "json" {
		_, err := cmd.OutOrStdout().Write(text)
		return err
	}
	return writeStatus(cmd.OutOrStdout(), status, time.Now())
}

func silent(err error) error {
	if err == nil {
		return nil
	}
	return &statusError{statusSilent, err}
}

// endpointOf is where to ask.
func endpointOf(flags *pflag.FlagSet) (config.HTTP, error) {
	source := config.Source{Environ: environ()}
	source.File, _ = flags.GetString("config")
	if addr, _ := flags.GetString("addr"); addr != "" {
		from, _ := origin(flags, "addr")
		source.Overrides = []config.Override{{Key: []string{"http", "listen"}, Value: addr, From: from}}
	} else if listen := os.Getenv(twin("listen")); listen != "" {
		source.Overrides = []config.Override{{Key: []string{"http", "listen"}, Value: listen, From: twin("listen")}}
	}
	settings, err := config.LoadHTTP(source)
	if err == nil && settings.Listen == "" {
		err = errors.New("nobody to ask: want --addr, KMSRUN_LISTEN, or a declaration (-c) with http.listen")
	}
	return settings, err
}

// writeStatus prints a status for people.
func writeStatus(w io.Writer, s metrics.Status, now time.Time) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		for i, cell := range cells {
			cells[i] = metrics.Printable(cell)
		}
		_, _ = fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if len(s.Secrets) > 0 {
		row("SECRET", "STAGE", "VERSION", "STATE", "AGE", "LAST POLL", "NEXT POLL", "NEXT ROTATION")
	}
	for _, secret := range s.Secrets {
		state := secret.State
		if secret.Error != "" {
			state = fmt.Sprintf("%s: %s (%d)", secret.State, secret.Error, secret.Failures)
		}
		row(secret.Secret, orDash(secret.Stage), orDash(secret.Version), state,
			ago(secret.Created, now, ""), ago(secret.LastPoll, now, " ago"), within(secret.NextPoll, now), within(secret.NextRotation, now))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, line := range statusLines(s, now) {
		if _, err := fmt.Fprintln(w, metrics.Printable(line)); err != nil {
			return err
		}
	}
	return nil
}

// statusLines are what a status tells beside the secrets.
func statusLines(s metrics.Status, now time.Time) []string {
	lines := []string{"kmsrun " + s.Version + ", " + map[bool]string{true: "started", false: "not started yet"}[s.Started]}
	if s.OnHold {
		lines = append(lines, "on hold: nothing is published or restarted until POST /-/release")
	}
	if c := s.Child; c != nil {
		lines = append(lines, fmt.Sprintf("program: pid %d, %s for %s, started %s", c.PID, c.State, ago(&c.Started, now, ""), times(c.Starts)))
	}
	if a := s.Action; a != nil {
		what := "last action: " + a.Action + ", " + ago(&a.At, now, " ago")
		if a.Result != "" {
			what += ": " + a.Result
		}
		lines = append(lines, what)
	}
	for _, held := range s.Held {
		lines = append(lines, "held back: "+held)
	}
	if sealed := s.Sealed; sealed != nil {
		written := "not written yet"
		if !sealed.Written.IsZero() {
			written = "written " + ago(&sealed.Written, now, " ago")
		}
		lines = append(lines, "sealed file: "+sealed.File+", "+written)
		for _, reference := range sealed.Serving {
			lines = append(lines, "from the sealed file: "+reference)
		}
	}
	return lines
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// ago is how long a moment is over.
func ago(at *time.Time, now time.Time, suffix string) string {
	if at == nil {
		return "-"
	}
	return short(now.Sub(*at)) + suffix
}

// within is how long a moment is ahead.
func within(at *time.Time, now time.Time) string {
	switch {
	case at == nil:
		return "-"
	case !at.After(now):
		return "now"
	default:
		return "in " + short(at.Sub(now))
	}
}

// short is a duration with two units at most.
func short(d time.Duration) string {
	d = max(d, 0)
	days := d / (24 * time.Hour)
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	default:
		return fmt.Sprintf("%ds", d/time.Second)
	}
}
