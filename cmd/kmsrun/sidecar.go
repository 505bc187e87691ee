package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kmsrun/kmsrun/inject"
)

const sidecarLong = `Write the files that a program beside it reads, keep them current, and tell the
program of a change as on_change says: a signal to another process, a command, a
POST, a touch. There is no COMMAND: kmsrun runs until it is asked to end, and
leaves the files where they are.

The first files are told to nobody, unless there were other ones, which the
program may be running with. Files that are there already and are the same, as
those of an init container, are not written again.

HUP means: poll now. TERM, INT and QUIT end it, with status 0; before the first
files are there with 128+n. Otherwise the exit status is 125 for a failure that
needs a person, 124 for a temporary one.`

// sidecarCommand sets *status to that of the end.
func sidecarCommand(out *stderr, status *int) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sidecar [flags]",
		Short: "Keep files current for a program beside it",
		Long:  sidecarLong,
		Args:  noCommand,
		Example: `  kmsrun sidecar -c kmsrun.yaml --dir /run/kmsrun/files --listen :9153
  kmsrun sidecar -f tls.crt='kms://prod/tls#crt' -f tls.key='kms://prod/tls#key' --on-file-change '{signal: HUP, process: nginx}'`,
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	addDeclaration(flags)
	addSettings(flags, "region", "endpoint", "ca-file", "listen", "log-level", "log-format", "dir", "interval", "on-file-change")
	flags.Lookup("on-file-change").Usage = "`action` when files changed: none (default) or {signal: HUP, process: NAME}, {signal: HUP, pid_file: FILE}, {exec: [COMMAND, ARG]}, {http: URL}, {touch: FILE}"
	flags.Lookup("interval").Usage += "; --period is the same"
	flags.Bool("one-time", false, "write the files once and exit, as kmsrun render does")
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "period" {
			name = "interval"
		}
		return pflag.NormalizedName(name)
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ended, err := runSidecar(cmd.Flags(), out)
		if err == nil {
			out.flush()
			*status = leave(ended)
		}
		return err
	}
	return cmd
}

func noCommand(_ *cobra.Command, argv []string) error {
	if len(argv) > 0 {
		return fmt.Errorf("a sidecar has no command, got %q: kmsrun exec runs one", argv[0])
	}
	return nil
}

func runSidecar(flags *pflag.FlagSet, out *stderr) (inject.Status, error) {
	listens := flags.Changed("listen") // as said here; the environment may say it for the sidecar beside
	if err := readTwins(flags); err != nil {
		return inject.Status{}, err
	}
	if once, _ := flags.GetBool("one-time"); once {
		if listens {
			return inject.Status{}, errors.New("--one-time leaves no process that could serve --listen: want one of them")
		}
		return runRender(flags, out)
	}
	return attend(flags, nil, out)
}
