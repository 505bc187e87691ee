package config

import (
	"log/slog"
	"slices"
	"testing"
	"time"
)

func TestReloaded(t *testing.T) {
	t.Parallel()
	old, next := Default(), Default()
	next.Watch.Interval = time.Second
	next.Env = map[string]Text{"A": {}}
	next.Files.Grace, next.Files.Owner = 0, Owner{User: "app"}
	next.KMS.Region, next.KMS.Timeout = "cn-hangzhou", time.Second
	next.Auth = map[string]Auth{}
	next.Files.Dir, next.Files.Disk, next.Files.DirMode = "/run/app", "allow", 0o750
	next.HTTP.Listen = ":9153"
	next.Log.Level = slog.LevelDebug

	got, differ := old.Reloaded(next)
	want := []string{
		"kms.region", "kms.timeout", "auth", "files.dir", "files.disk", "files.dir_mode", "http.listen", "log.level",
	}
	if !slices.Equal(differ, want) {
		t.Errorf("got %q, want %q", differ, want)
	}
	wanted := Default()
	wanted.Watch.Interval, wanted.Env = time.Second, map[string]Text{"A": {}}
	wanted.Files.Grace, wanted.Files.Owner = 0, Owner{User: "app"}
	if !got.Same(wanted) {
		t.Errorf("got  %+v\nwant %+v", got, wanted)
	}
	// Files whose owner is the program's stay those of the program that runs.
	old.Child.User, old.Files.Owner = "app", Owner{User: "app"}
	other := Default()
	other.Child.User, other.Files.Owner, other.Sealed.File = "nobody", Owner{User: "nobody"}, "/s"
	got, differ = old.Reloaded(other)
	if want := []string{"child.user", "sealed.file"}; !slices.Equal(differ, want) || !got.Same(old) {
		t.Errorf("got %q, want %q; owner %+v", differ, want, got.Files.Owner)
	}
	old = Default()
	if _, differ := old.Reloaded(Default()); differ != nil {
		t.Errorf("the same: got %q, want nothing", differ)
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	a, b := Default(), Default()
	a.Warnings = []Fault{{Line: 1}}
	if !a.Same(b) {
		t.Error("other lines: got another declaration, want the same")
	}
	b.Child.StopTimeout++
	if a.Same(b) {
		t.Error("another timeout: got the same, want another")
	}
}
