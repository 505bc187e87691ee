package notify

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kmsrun/kmsrun/internal/proc"
)

// outputKept is how many bytes of a command's output are kept, the last ones.
const outputKept = 64 << 10

const (
	linesShown = 5   // the last of the output
	lineShown  = 300 // bytes of each, at most
)

// Exec runs a command. What it writes is told only when it fails, with the values of
// secrets masked.
func Exec(argv []string, timeout time.Duration, commands Commands) Func {
	return func(ctx context.Context, news News) error {
		spec, err := commands.Spec(argv, news.Environ())
		if err != nil {
			return err
		}
		command, err := commands.Table.Run(spec, timeout, outputKept)
		if err != nil {
			return fmt.Errorf("running %q: %w", argv[0], err)
		}
		select {
		case r := <-command.Done():
			return Failure(argv[0], timeout, r, news.Mask)
		case <-ctx.Done():
			command.Kill()
			<-command.Done()
			return ctx.Err()
		}
	}
}

// Failure is the error of a command that failed, with the last lines that it wrote;
// nil for one that did not.
func Failure(name string, timeout time.Duration, r proc.Result, mask func(string) string) error {
	var how string
	switch {
	case r.TimedOut:
		how = fmt.Sprintf("took longer than %s and was killed", timeout)
	case r.Status.ExitCode() != 0:
		how = fmt.Sprintf("ended with status %d", r.Status.ExitCode())
	default:
		return nil
	}
	if lines := lastLines(mask(string(r.Output))); lines != "" {
		return fmt.Errorf("%q %s: %s", name, how, lines)
	}
	return fmt.Errorf("%q %s", name, how)
}

// lastLines is the end of a text on one line.
func lastLines(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(strings.ToValidUTF8(line, "?")); line != "" {
			lines = append(lines, line)
		}
	}
	lines = lines[max(len(lines)-linesShown, 0):]
	for i, line := range lines {
		if len(line) > lineShown {
			lines[i] = strings.ToValidUTF8(line[:lineShown], "") + "..."
		}
	}
	return strings.Join(lines, " | ")
}
