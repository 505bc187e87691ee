package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/emulator"
	"github.com/kmsrun/kmsrun/kms"
)

const emulatorLong = `Serve a local KMS Secrets Manager from memory. Its secrets come from a seed file,
and saving that file again rotates them:

  secrets:
    prod/db: {value: {AccountName: app, AccountPassword: s3cr3t}, version: v1}
    prod/tls: {value_file: tls.json}
    prod/plain: "a string is the value itself"

The first line of stdout says where it listens. Signatures are checked, so clients
need the access key.`

func emulatorCommand(out *stderr) *cobra.Command {
	cmd := &cobra.Command{
		Use: "emulator [flags]", Short: "Serve a local KMS Secrets Manager", Long: emulatorLong,
		Example: "  kmsrun emulator --listen 127.0.0.1:8810 --seed seed.yaml",
		Args:    cobra.NoArgs, DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.String("listen", "127.0.0.1:0", "`address` to listen on; port 0 takes a free one")
	flags.String("seed", "", "YAML `file` of secrets")
	flags.String("access-key-id", "emulator", "the access key `id` that clients must use")
	flags.String("access-key-secret", "emulator-secret", "its `secret`")
	flags.String("region", "cn-hangzhou", "`region` in ARNs")
	flags.String("account-id", "1000000000000001", "account `number` in ARNs")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runEmulator(cmd.Flags(), cmd.OutOrStdout(), out) }
	return cmd
}

func runEmulator(flags *pflag.FlagSet, stdout io.Writer, out *stderr) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := readTwins(flags); err != nil {
		return err
	}
	text := func(name string) string { return flags.Lookup(name).Value.String() }
	server := emulator.New(emulator.Config{
		Region: text("region"), AccountID: text("account-id"),
		AccessKeyID: text("access-key-id"), AccessKeySecret: text("access-key-secret"),
	})
	var seed *emulator.Seed
	if path := text("seed"); path != "" {
		var err error
		if seed, err = server.LoadSeed(path); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", text("listen"))
	if err != nil {
		where, _ := origin(flags, "listen")
		return fmt.Errorf("listening on %s %q: %w", where, text("listen"), err)
	}
	_, _ = fmt.Fprintf(stdout, "kmsrun emulator listening on http://%s\n", listener.Addr())
	log := newLogger(out, config.Log{})
	if !config.IsLoopback(listener.Addr().String()) {
		log.Warn("the emulator is open to the network, in the clear", "addr", listener.Addr().String())
	}
	if seed != nil {
		go watchSeed(ctx, seed, log)
	}
	return serveUntil(ctx, listener, server)
}

// serveUntil serves until ctx ends, and then lets calls under way finish for a moment.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	finished := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(finished)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(grace)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-finished // Serve returns when Shutdown begins
	return nil
}

func watchSeed(ctx context.Context, seed *emulator.Seed, log *slog.Logger) {
	if err := seed.Watch(ctx, log); err != nil {
		log.Warn("saving the seed file will not rotate secrets", "err", err)
	}
}

// devEmulator is the emulator inside kmsrun that --dev starts. A nil one stands for
// the real KMS.
type devEmulator struct {
	seed     *emulator.Seed
	endpoint string
}

// devKeyID and devKeySecret are the access key between kmsrun and itself.
const (
	devKeyID     = "emulator"
	devKeySecret = "emulator-secret"
)

// startDev serves the seed file on loopback; an empty path starts nothing.
func startDev(ctx context.Context, path string) (*devEmulator, error) {
	if path == "" {
		return nil, nil
	}
	server := emulator.New(emulator.Config{AccessKeyID: devKeyID, AccessKeySecret: devKeySecret})
	seed, err := server.LoadSeed(path)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the embedded emulator: %w", err)
	}
	go func() { _ = serveUntil(ctx, listener, server) }()
	return &devEmulator{seed: seed, endpoint: "http://" + listener.Addr().String()}, nil
}

// watch lets a save of the seed file rotate, until ctx ends.
func (d *devEmulator) watch(ctx context.Context, log *slog.Logger) {
	if d != nil {
		log.Warn("secrets come from the embedded emulator, not from KMS", "endpoint", d.endpoint)
		watchSeed(ctx, d.seed, log)
	}
}

// overrides point the declaration at the emulator.
func (d *devEmulator) overrides() []config.Override {
	if d == nil {
		return nil
	}
	return []config.Override{{Key: []string{"kms", "endpoint"}, Value: d.endpoint, From: "--dev"}}
}

// credentials are the emulator's, or those in our environment.
func (d *devEmulator) credentials() (kms.Credentials, error) {
	if d != nil {
		return kms.AccessKey(devKeyID, devKeySecret), nil
	}
	return kms.FromEnvironment(os.LookupEnv)
}
