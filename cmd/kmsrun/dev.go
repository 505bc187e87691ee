package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/emulator"
	"github.com/kmsrun/kmsrun/inject"
	"github.com/kmsrun/kmsrun/kms"
)

// devEmulator is the emulator inside kmsrun that --dev starts. A nil one stands for
// the real KMS.
type devEmulator struct {
	server   *emulator.Emulator
	seed     *emulator.Seed
	listener net.Listener
	endpoint string
}

// devKeyID and devKeySecret are the access key between kmsrun and itself.
const (
	devKeyID     = "emulator"
	devKeySecret = "emulator-secret"
)

// startDev loads the seed file and listens on loopback; an empty path starts nothing.
func startDev(path string) (*devEmulator, error) {
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
	return &devEmulator{server: server, seed: seed, listener: listener, endpoint: "http://" + listener.Addr().String()}, nil
}

// serve answers calls, and lets a save of the seed file rotate, until ctx ends.
func (d *devEmulator) serve(ctx context.Context, log *slog.Logger) {
	if d == nil {
		return
	}
	log.Warn("secrets come from the embedded emulator, not from KMS", "endpoint", d.endpoint)
	go watchSeed(ctx, d.seed, log)
	if err := serveUntil(ctx, d.listener, d.server, log); err != nil {
		log.Error("the embedded emulator ended", "err", err)
	}
}

// overrides point the declaration at the emulator.
func (d *devEmulator) overrides() []config.Override {
	if d == nil {
		return nil
	}
	return []config.Override{{Key: []string{"kms", "endpoint"}, Value: d.endpoint, From: "--dev"}}
}

// login is the emulator's access key, or what the declaration says.
func (d *devEmulator) login(plan *inject.Plan) kms.Login {
	if d != nil {
		login := kms.Fixed(kms.AccessKey(devKeyID, devKeySecret))
		login.Auth = plan.Config.Auth // whatever profile a reference names: here it has this key
		return login
	}
	return kms.Login{
		Auth: plan.Config.Auth, Lookup: os.LookupEnv,
		Using: func(auth, identity string) { plan.Log.Info("logged in", "auth", auth, "identity", identity) },
		Moved: func(region string, err error) {
			if err != nil {
				plan.Log.Warn("reading from a fallback region", "region", region, "err", err)
				return
			}
			plan.Log.Info("reading from the first region again", "region", region)
		},
	}
}
