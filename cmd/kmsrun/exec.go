package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/inject"
	"github.com/kmsrun/kmsrun/internal/debugguard"
	"github.com/kmsrun/kmsrun/internal/proc"
	"github.com/kmsrun/kmsrun/kms"
	"github.com/kmsrun/kmsrun/metrics"
	"github.com/kmsrun/kmsrun/watch"
)

const execLong = `Fetch the declared secrets, give them to COMMAND as environment variables and
files, start it, and keep it current: when a secret changes, publish the new files
at once, and restart, signal or leave alone, as declared.

Variables that are inherited with a reference for a value (kms://NAME#KEY or an
ARN) are resolved without any declaration.

Each flag has an environment twin, KMSRUN_ and its name (--log-level is
KMSRUN_LOG_LEVEL; a repeatable flag takes one entry per line). A flag wins over
its twin, a twin over the file.

The exit status is the command's own; 128+n when signal n killed it; 127 when it
was not found, 126 when it is not executable; 125 for a failure of kmsrun that
needs a person, 124 for a temporary one.`

// execCommand sets *status to the program's.
func execCommand(out *stderr, status *int) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec [flags] -- COMMAND [ARG...]",
		Short: "Run a program with its secrets",
		Long:  execLong,
		Example: `  DB_PASSWORD='kms://prod/db#AccountPassword' kmsrun exec -- ./server
  kmsrun exec -e DB_PASSWORD='kms://prod/db#AccountPassword' -- ./server
  kmsrun exec -f tls.crt='kms://prod/tls#crt' -f tls.key='kms://prod/tls#key' --on-file-change SIGHUP -- nginx -g 'daemon off;'`,
		DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false) // the command's flags are the command's
	addExec(flags)
	cmd.RunE = func(cmd *cobra.Command, argv []string) error {
		ended, err := runExec(cmd.Flags(), argv, out)
		if err == nil {
			out.flush()
			*status = leave(ended)
		}
		return err
	}
	return cmd
}

// becomes is what is wrong with a declaration where kmsrun becomes the program.
func becomes(c config.Config) error {
	switch {
	case c.HTTP.Listen != "":
		return errors.New("--once leaves no process that could serve http.listen: want one of them")
	case c.Files.KeepOnExit == "false":
		return errors.New("--once leaves no process that could remove files, as files.keep_on_exit: false wants: want one of them")
	}
	return nil
}

func runExec(flags *pflag.FlagSet, argv []string, out *stderr) (inject.Status, error) {
	if len(argv) == 0 {
		return inject.Status{}, errors.New("no command: want kmsrun exec [flags] -- COMMAND [ARG...]")
	}
	return attend(flags, argv, out)
}

// attend runs a program, or without one a sidecar, to the end.
func attend(flags *pflag.FlagSet, argv []string, out *stderr) (inject.Status, error) {
	signals := inject.Signals()
	processes := proc.New() // before anything secret is in memory
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
	source, err := sourceOf(flags, dev)
	if err != nil {
		return inject.Status{}, err
	}
	source.Sidecar = len(argv) == 0
	declared := &declaration{source: source}
	c, err := declared.load()
	if err != nil {
		return inject.Status{}, err
	}
	log := newLogger(out, c.Log)
	for _, w := range c.Warnings {
		log.Warn("doubtful declaration", "where", w.Error())
	}
	go dev.serve(ctx, log)

	plan := inject.Plan{
		Config: c, Reload: declared.load, Inputs: declared.inputs, Argv: argv, Processes: processes, Signals: signals, Lookup: os.LookupEnv,
		Interactive: stdinIsTerminal(), Metrics: metrics.New(buildVersion()), Log: log,
	}
	plan.Once, _ = flags.GetBool("once")
	if plan.Once {
		if err := becomes(c); err != nil {
			return inject.Status{}, err
		}
	}
	sealed, err := connect(ctx, &plan, flags, dev)
	if err != nil {
		return inject.Status{}, err
	}
	defer sealed()
	plan.BeforeExec = func() { sealed(); out.flush() }
	run := inject.NewExec(plan)
	if c.HTTP.Listen != "" {
		server, err := metrics.Serve(c.HTTP, plan.Metrics, run.State(), log)
		if err != nil {
			return inject.Status{}, err
		}
		defer server.Close()
	}
	return run.Run()
}

// sourceOf is the declaration with everything that lies above the file.
func sourceOf(flags *pflag.FlagSet, dev *devEmulator) (config.Source, error) {
	source := config.Source{Environ: environ(), Terminal: stdinIsTerminal()}
	source.File, _ = flags.GetString("config")
	source.Stage, _ = flags.GetString("stage")
	check, _ := flags.GetBool("sidecar")
	once, _ := flags.GetBool("one-time")
	source.Sidecar = check || once
	var err error
	if source.Overrides, err = overrides(flags); err != nil {
		return config.Source{}, err
	}
	source.Overrides = append(source.Overrides, dev.overrides()...)
	return source, nil
}

// load reads the declaration once.
func load(flags *pflag.FlagSet, dev *devEmulator) (config.Config, error) {
	source, err := sourceOf(flags, dev)
	if err != nil {
		return config.Config{}, err
	}
	return config.Load(source)
}

func stdinIsTerminal() bool {
	_, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	return err == nil
}

// connect makes the KMS client, if anything is to be read, and the environment that
// the program inherits. The func it returns waits until what is to be sealed is.
func connect(ctx context.Context, plan *inject.Plan, flags *pflag.FlagSet, dev *devEmulator) (func(), error) {
	var drop []string
	sealed := func() {}
	if ids := plan.Config.IDs(); len(ids) > 0 {
		login := dev.login(plan)
		client, err := kms.New(plan.Config.KMS, login, "kmsrun/"+buildVersion(), func(c kms.Call) {
			plan.Metrics.KMSCall(c.Action, c.Code, c.Duration)
			plan.Log.Debug("called KMS", "action", c.Action, "code", c.Code, "took", c.Duration)
		})
		if err != nil {
			return nil, err
		}
		plan.Fetch, plan.FetchFirst, plan.WaitsFor = client.Poll, watch.OrAbsent(client.GetPatiently, plan.Config.Dispensable), client.WaitsFor
		if sealed, err = prepareForOutage(ctx, plan, ids); err != nil {
			return nil, err
		}
		drop = login.Used(ids)
		if !plan.Once {
			go client.Keep(ctx)
		}
	}
	if pass, _ := flags.GetBool("pass-credentials"); pass {
		drop = nil
	}
	if pristine, _ := flags.GetBool("pristine"); pristine || plan.Processes == nil { // nil: nothing is started
		return sealed, nil
	}
	var dropped []string
	plan.Environ, dropped = inject.Environ(environ(), drop)
	if len(dropped) > 0 && len(plan.Argv) > 0 {
		plan.Log.Info("the program does not inherit the access key; --pass-credentials passes it", "variables", dropped)
	}
	return sealed, nil
}

// environ is the environment that this process was started with.
func environ() []string {
	return append(os.Environ(), debugguard.Variables()...)
}

// leave is the exit status for the way the program ended. Two watch for a death by
// signal, and we die of the same signal for them: systemd, and on a terminal a script
// that ^C interrupts, which goes on after a command that only exits.
func leave(ended inject.Status) int {
	bySystemd := os.Getenv("SYSTEMD_EXEC_PID") == strconv.Itoa(os.Getpid())
	interrupted := ended.Signal == syscall.SIGINT && proc.OpenTerminal().Present()
	if ended.Signal != 0 && (bySystemd || interrupted) {
		inject.DieOf(ended.Signal)
	}
	return ended.ExitCode()
}

func newLogger(out *stderr, settings config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: settings.Level}
	if settings.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
