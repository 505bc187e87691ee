package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/emulator"
	"github.com/kmsrun/kmsrun/internal/proc"
)

const emulatorLong = `Serve a local KMS: Secrets Manager and keys. The secrets come from a seed file,
and saving that file again rotates them:

  secrets:
    prod/db: {value: {AccountName: app, AccountPassword: s3cr3t}, version: v1}
    prod/tls: {value_file: tls.json}
    prod/plain: "a string is the value itself"
  keys:
    Example-CMK-Id: {}

With --state FILE all that clients do is there again after a restart; the state wins
over the seed, which then only adds. Without it everything is gone.

The first line of stdout says where it listens. Signatures are checked, so clients
need the access key. STS answers on the same port, /credentials/ROLE hands out the
credentials of a role and, with --ecs-role, /latest/ is an instance's metadata.

With --policy FILE, RAM policies decide who may do what; without it everything is
allowed. --fault makes calls go wrong, and may be repeated:

  action=GetSecretValue,secret=prod/*,kind=throttle,times=3
  kind=latency,duration=2s,rate=0.1,seed=7

Kinds: throttle, throttle-user, throttle-api, unavailable, internal, denied,
not-found, expired-token, clock-skew; latency, hang, reset, truncate, content-type;
html, redirect, no-content, empty, oversize, numeric-code.

While it runs, /_emulator/faults changes the faults, /_emulator/clock moves time and
/_emulator/requests lists the calls.`

func emulatorCommand(out *stderr) *cobra.Command {
	cmd := &cobra.Command{
		Use: "emulator [flags]", Short: "Serve a local KMS Secrets Manager", Long: emulatorLong,
		Example: "  kmsrun emulator --listen 127.0.0.1:8810 --seed seed.yaml",
		Args:    cobra.NoArgs, DisableFlagsInUseLine: true,
	}
	flags := cmd.Flags()
	flags.String("listen", "127.0.0.1:0", "`address` to listen on; port 0 takes a free one")
	flags.String("seed", "", "YAML `file` of secrets")
	flags.String("state", "", "`file` that keeps all keys and secrets, also over kill -9; it holds the keys too")
	flags.String("access-key-id", "emulator", "the access key `id` that clients must use")
	flags.String("access-key-secret", "emulator-secret", "its `secret`")
	flags.String("region", "cn-hangzhou", "`region` in ARNs")
	flags.String("account-id", "1000000000000001", "account `number` in ARNs")
	flags.String("policy", "", "YAML `file` of accounts, users, roles and their RAM policies")
	flags.String("session-life", "", "`duration` that sessions live, whatever is asked for")
	flags.String("ecs-role", "", "`role` of the instance whose metadata /latest/ serves")
	flags.Bool("imdsv1", false, "serve metadata without a token too")
	flags.String("quota", "off", "`limit` of calls per second: off, or real as at KMS (450/40/10)")
	flags.StringArray("fault", nil, "`rule` for calls that go wrong, see above")
	flags.String("tls-cert", "", "PEM `file` of a certificate to serve https with")
	flags.String("tls-key", "", "PEM `file` of its key")
	flags.String("tls-self-signed", "", "serve https with a certificate made now, and write its CA to this `file`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runEmulator(cmd.Flags(), cmd.OutOrStdout(), out) }
	return cmd
}

func runEmulator(flags *pflag.FlagSet, stdout io.Writer, out *stderr) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	proc.Harden() // before anything secret is in memory
	if err := readTwins(flags); err != nil {
		return err
	}
	server, seed, err := newEmulator(flags)
	if err != nil {
		return err
	}
	listener, scheme, err := listenEmulator(flags)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(stdout, "kmsrun emulator listening on %s://%s\n", scheme, listener.Addr())
	log := newLogger(out, config.Log{})
	if scheme == "http" && !config.IsLoopback(listener.Addr().String()) {
		log.Warn("the emulator is open to the network, in the clear", "addr", listener.Addr().String())
	}
	if seed != nil {
		go watchSeed(ctx, seed, log)
	}
	return serveUntil(ctx, listener, server, log)
}

// The shapes of what goes into ARNs.
var (
	digits      = regexp.MustCompile(`^[0-9]+$`)
	regionShape = regexp.MustCompile(`^[a-z0-9-]+$`)
	roleShape   = regexp.MustCompile(`^[A-Za-z0-9.@_-]*$`)
)

// newEmulator is the emulator that the flags describe, and its seed if it has one.
func newEmulator(flags *pflag.FlagSet) (*emulator.Emulator, *emulator.Seed, error) {
	text := func(name string) string { return flags.Lookup(name).Value.String() }
	cfg := emulator.Config{
		Region: text("region"), AccountID: text("account-id"),
		AccessKeyID: text("access-key-id"), AccessKeySecret: text("access-key-secret"),
		ECSRole: text("ecs-role"), RealQuotas: text("quota") == "real",
	}
	cfg.IMDSv1, _ = flags.GetBool("imdsv1")
	for name, shape := range map[string]*regexp.Regexp{"account-id": digits, "region": regionShape, "ecs-role": roleShape} {
		if !shape.MatchString(text(name)) {
			return nil, nil, fmt.Errorf("--%s: want %s, got %q", name, shape, text(name))
		}
	}
	if cfg.IMDSv1 && cfg.ECSRole == "" {
		return nil, nil, errors.New("--imdsv1 needs --ecs-role")
	}
	if quota := text("quota"); quota != "real" && quota != "off" {
		return nil, nil, fmt.Errorf("--quota %q: want off or real", quota)
	}
	if life := text("session-life"); life != "" {
		var err error
		if cfg.SessionLife, err = time.ParseDuration(life); err != nil || cfg.SessionLife <= 0 {
			return nil, nil, fmt.Errorf("--session-life %q: want a duration such as 10s", life)
		}
	}
	server := emulator.New(cfg)
	rules, _ := flags.GetStringArray("fault")
	for _, rule := range rules {
		fault, err := emulator.ParseFault(rule)
		if err == nil {
			err = server.Fault(fault)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if path := text("policy"); path != "" {
		if err := server.LoadPolicy(path); err != nil {
			return nil, nil, err
		}
	}
	if path := text("state"); path != "" {
		if err := server.OpenState(path); err != nil {
			return nil, nil, err
		}
	}
	if path := text("seed"); path != "" {
		seed, err := server.LoadSeed(path)
		return server, seed, err
	}
	return server, nil, nil
}

// listenEmulator listens, with TLS if a flag asks for it.
func listenEmulator(flags *pflag.FlagSet) (listener net.Listener, scheme string, err error) {
	text := func(name string) string { return flags.Lookup(name).Value.String() }
	cert, key, caFile := text("tls-cert"), text("tls-key"), text("tls-self-signed")
	if (cert == "") != (key == "") {
		return nil, "", errors.New("--tls-cert and --tls-key need each other")
	}
	if cert != "" && caFile != "" {
		return nil, "", errors.New("--tls-cert and --tls-self-signed exclude each other")
	}
	var pair tls.Certificate
	switch {
	case cert != "":
		if pair, err = tls.LoadX509KeyPair(cert, key); err != nil {
			return nil, "", fmt.Errorf("reading --tls-cert %q and --tls-key %q: %w", cert, key, err)
		}
	case caFile != "":
		if pair, err = selfSigned(caFile, text("listen")); err != nil {
			return nil, "", err
		}
	}
	listener, err = net.Listen("tcp", text("listen"))
	if err != nil {
		where, _ := origin(flags, "listen")
		return nil, "", fmt.Errorf("listening on %s %q: %w", where, text("listen"), err)
	}
	if len(pair.Certificate) == 0 {
		return listener, "http", nil
	}
	return tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}), "https", nil
}

// serveUntil serves until ctx ends, and then lets calls under way finish for a moment.
func serveUntil(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: stdlog.New(panics{log}, "", 0)}
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

// panics is where net/http writes what went wrong with a connection. Clients that hang
// up or speak no TLS are of no interest; a panic is a fault of ours. Its text is not
// shown, since it may hold a value.
type panics struct{ log *slog.Logger }

func (p panics) Write(text []byte) (int, error) {
	if bytes.Contains(text, []byte("panic serving")) {
		p.log.Error("the emulator failed while it served a call; please report what was called")
	}
	return len(text), nil
}

func watchSeed(ctx context.Context, seed *emulator.Seed, log *slog.Logger) {
	if err := seed.Watch(ctx, log); err != nil {
		log.Warn("saving the seed file will not rotate secrets", "err", err)
	}
}
