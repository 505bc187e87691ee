package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kmsrun/kmsrun/inject"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/metrics"
)

const renderLong = `Fetch the secrets that the declared files need, write the files, and exit: for an
init container, or for CI. All files appear in one step, and stay; a failure leaves
what was there before. The declared variables are for a program, and are not read,
but for those with as=file.

The exit status is 0 when all files are there; 125 for a failure that needs a
person, 124 for a temporary one.`

// renderCommand sets *status to that of a signal that ended it.
func renderCommand(out *stderr, status *int) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render [flags]",
		Short: "Write the declared files once, and exit",
		Long:  renderLong,
		Args:  cobra.NoArgs,
		Example: `  kmsrun render -c kmsrun.yaml --dir /run/secrets
  kmsrun render -f tls.crt='kms://prod/tls#crt' -f tls.key='kms://prod/tls#key'`,
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	addDeclaration(flags)
	addSettings(flags, "region", "endpoint", "ca-file", "log-level", "log-format", "dir")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ended, err := runRender(cmd.Flags(), out)
		if err == nil {
			*status = ended.ExitCode()
		}
		return err
	}
	return cmd
}

func runRender(flags *pflag.FlagSet, out *stderr) (inject.Status, error) {
	signals := inject.Signals()
	proc.Harden() // before anything secret is in memory
	if err := readTwins(flags); err != nil {
		return inject.Status{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	seed, _ := flags.GetString("dev")
	dev, err := startDev(seed)
	if err != nil {
		return inject.Status{}, err
	}
	c, err := load(flags, dev)
	if err != nil {
		return inject.Status{}, err
	}
	if c = c.FilesOnly(); !c.NeedsDir() {
		return inject.Status{}, errors.New("no files to write: declare files.items, or want -f NAME=REF")
	}
	log := newLogger(out, c.Log)
	for _, w := range c.Warnings {
		log.Warn("doubtful declaration", "where", w.Error())
	}
	go dev.serve(ctx, log)
	plan := inject.Plan{
		Config: c, Signals: signals, Lookup: os.LookupEnv, Metrics: metrics.New(buildVersion()), Log: log,
		Once: true, // nothing is watched
	}
	sealed, err := connect(ctx, &plan, flags, dev)
	if err != nil {
		return inject.Status{}, err
	}
	defer sealed()
	return inject.NewExec(plan).Publish()
}
