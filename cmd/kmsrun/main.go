// Kmsrun gives programs their secrets from Alibaba Cloud KMS Secrets Manager, and
// keeps them current.
//
// Everything that kmsrun itself says goes to stderr: stdout and stdin belong to the
// program (the emulator's address, help and version are stdout's only lines). A
// failure is one line per fault: what, where, and what to do.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kmsrun/kmsrun/inject"
	_ "github.com/kmsrun/kmsrun/internal/asfound"    // where this binary is a stage, it ends there
	_ "github.com/kmsrun/kmsrun/internal/debugguard" // before anything that brings in the SDK
	"github.com/kmsrun/kmsrun/watch"
)

// version is set by the linker in builds from a checkout.
var version string

func main() {
	os.Exit(run(os.Args[1:]))
}

// run is main with an exit status.
func run(args []string) int {
	status := 0
	// What libraries print may hold secrets: net/http quotes what a server sends unasked, and
	// with GODEBUG=http2debug all of HTTP/2.
	log.SetOutput(io.Discard)
	out := newStderr(os.Stderr)
	defer out.flush()
	root := &cobra.Command{
		Use:           "kmsrun",
		Short:         "Give programs their secrets from Alibaba Cloud KMS, and keep them current",
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(execCommand(out, &status), sidecarCommand(out, &status), renderCommand(out, &status), statusCommand(), checkCommand(), installCommand(), schemaCommand(), emulatorCommand(out), versionCommand())
	root.SetArgs(args)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	if err := root.ExecuteContext(context.Background()); err != nil {
		report(out, err)
		return statusOf(err)
	}
	return status
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "kmsrun", buildVersion())
			return err
		},
	}
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// statusOf is the exit status for a failure of our own.
func statusOf(err error) int {
	if own, ok := errors.AsType[*statusError](err); ok {
		return own.status
	}
	if start, ok := errors.AsType[*inject.StartError](err); ok {
		return start.Status
	}
	for _, failure := range inject.Wrapped(err) {
		if !watch.Outage(failure) {
			return inject.StatusFailed
		}
	}
	return inject.StatusTemporary
}

// report prints one line per fault.
func report(w io.Writer, err error) {
	for _, failure := range inject.Wrapped(err) {
		_, _ = fmt.Fprintf(w, "kmsrun: %s\n", strings.ReplaceAll(failure.Error(), "\n", " "))
	}
}
