package render

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// need skips a test for want of something; on CI, where nothing may be skipped, it fails.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("no %s, and CI skips nothing", what)
	}
	t.Skipf("SKIPPED: no %s", what)
}

func owned(text string, owner config.Owner) File {
	f := NewFile([]byte(text), 0o440)
	f.Owner = owner
	return f
}

func ownerOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", stat.Uid, stat.Gid)
}

func TestOwners(t *testing.T) {
	t.Parallel()
	need(t, os.Geteuid() == 0, "root, to give files away")
	dir := memoryDir(t)
	d := openDir(t, dir)
	staged, err := d.Stage(map[string]File{
		"ours":   owned("1", config.Owner{}),
		"user":   owned("2", config.Owner{User: "4242"}),
		"both":   owned("3", config.Owner{User: "root", Group: "4343"}),
		"deep/g": owned("4", config.Owner{Group: "4343"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ours": "0:0", "user": "4242:0", "both": "0:4343", "deep/g": "0:4343", "deep": "0:0", ".": "0:0"} {
		if got := ownerOf(t, filepath.Join(dir, staged.name, name)); got != want {
			t.Errorf("%s, before the flip: got %s, want %s", name, got, want)
		}
	}
	if err := staged.Commit(time.Now()); err != nil {
		t.Fatal(err)
	}
	checkTree(t, "another owner gets through, and sees no list", filepath.Dir(dir)+"/"+filepath.Base(dir),
		"..data -> NOW", "ours -> ..data/ours", "user -> ..data/user", "both -> ..data/both", "deep -> ..data/deep",
		"drwx--x--x NOW", "-r--r----- NOW/ours", "-r--r----- NOW/user", "-r--r----- NOW/both", "drwx--x--x NOW/deep", "-r--r----- NOW/deep/g")
	if got := modeOf(t, dir); got != 0o711 {
		t.Errorf("the directory: got %#o, want 0711", got)
	}
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode() & (os.ModePerm | os.ModeSetgid)
}

func TestDirModes(t *testing.T) {
	t.Parallel()
	other := config.Owner{Group: "4343"}
	for name, test := range map[string]struct {
		found    os.FileMode // 0: made by us
		declared config.DirMode
		owner    config.Owner
		want     os.FileMode
	}{
		"made":                      {0, 0, config.Owner{}, 0o700},
		"made, for another":         {0, 0, other, 0o711},
		"made as declared":          {0, 0o750, other, 0o750},
		"found":                     {0o755, 0, config.Owner{}, 0o755},
		"found, for another":        {0o700, 0, other, 0o711},
		"found, and wide enough":    {0o755, 0, other, 0o755},
		"found, and declared":       {0o755, 0o700, config.Owner{}, 0o700},
		"found, of a group":         {0o750 | os.ModeSetgid, 0, config.Owner{}, 0o750 | os.ModeSetgid},
		"found, of a group, narrow": {0o755 | os.ModeSetgid, 0o710, config.Owner{}, 0o710 | os.ModeSetgid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, os.Geteuid() == 0 || test.owner == config.Owner{}, "root, to give files away")
			dir := filepath.Join(memoryDir(t), "d")
			if test.found != 0 {
				mkdir(t, dir)
				if err := os.Chmod(dir, test.found); err != nil {
					t.Fatal(err)
				}
			}
			s := settings(dir)
			s.DirMode = test.declared
			d, err := OpenDir(s, variables(nil))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(d.release)
			staged, err := d.Stage(map[string]File{"sub/a": owned("1", test.owner)})
			if err != nil {
				t.Fatal(err)
			}
			if got := modeOf(t, dir); got != test.want {
				t.Errorf("the directory: got %s, want %s", got, test.want)
			}
			inner := os.FileMode(test.declared)
			if inner == 0 {
				inner = 0o700
				if test.owner != (config.Owner{}) {
					inner = 0o711
				}
			}
			inner |= test.want & os.ModeSetgid
			for _, name := range []string{"", "sub"} {
				if got := modeOf(t, filepath.Join(dir, staged.name, name)); got != inner {
					t.Errorf("%q in the generation: got %s, want %s", name, got, inner)
				}
			}
		})
	}
}

// In a directory with the set-group-ID bit, as Kubernetes makes for an fsGroup, the
// files are the group's.
func TestGroupIsInherited(t *testing.T) {
	t.Parallel()
	need(t, os.Geteuid() == 0, "root, to give a directory away")
	dir := memoryDir(t)
	if err := os.Chown(dir, -1, 4343); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o750|os.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	d := openDir(t, dir)
	publish(t, d, map[string]string{"sub/a": "1"})
	if got, want := ownerOf(t, filepath.Join(dir, "sub/a")), "0:4343"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	again := stage(t, d, map[string]string{"sub/a": "1"})
	if !again.present {
		t.Error("the same files: got another generation, want nothing written")
	}
}

func TestUnknownOwner(t *testing.T) {
	t.Parallel()
	dir := memoryDir(t)
	d := openDir(t, dir)
	for owner, want := range map[config.Owner]string{
		{User: "no-such-user"}:               `no user "no-such-user" here`,
		{User: "root", Group: "no-such-grp"}: `no group "no-such-grp" here`,
	} {
		_, err := d.Stage(map[string]File{"a": owned(canary, owner)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	checkTree(t, "after it", dir)
}

func TestRefusesDirectoriesOfOthers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(dir string) error
		want    string
	}{
		"writable by the group": {func(dir string) error { return os.Chmod(dir, 0o770) }, "others may write to it (mode 0770), and so replace the files in it: chmod it to 0700, or name a directory below it, such as DIR/kmsrun, which is made"},
		"writable by all":       {func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) }, "others may write to it (mode 0777), and so replace the files in it: chmod it to 0700, or name a directory below it, such as DIR/kmsrun, which is made"},
		"of another user":       {func(dir string) error { return os.Chown(dir, 4242, -1) }, fmt.Sprintf("it belongs to user 4242, and this is user %d: whoever owns a directory can replace the files in it; name one of our own", os.Geteuid())},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			need(t, os.Geteuid() == 0 || name != "of another user", "root, to give a directory away")
			dir := memoryDir(t)
			if err := test.prepare(dir); err != nil {
				t.Fatal(err)
			}
			_, err := OpenDir(settings(dir), variables(nil))
			want := `using "` + dir + `" for files: ` + strings.ReplaceAll(test.want, "DIR", dir)
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if strings.Contains(want, "/kmsrun") {
				openDir(t, filepath.Join(dir, "kmsrun")) // as advised
			}
		})
	}
}

func TestRefusesASymlink(t *testing.T) {
	t.Parallel()
	parent := memoryDir(t)
	mkdir(t, filepath.Join(parent, "real"))
	link := filepath.Join(parent, "link")
	for _, target := range []string{filepath.Join(parent, "real"), "real", "nowhere"} {
		symlink(t, target, link)
		for _, path := range []string{link, link + "/"} {
			_, err := OpenDir(settings(path), variables(nil))
			want := fmt.Sprintf("using %q for files: it is a symlink to %q: name the directory itself", path, target)
			if err == nil || err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
	checkTree(t, "nothing was made", parent, "drwx------ real")
}
