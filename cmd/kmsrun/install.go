package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

const installLong = `Copy this kmsrun to DIR/kmsrun. An init container does it in Kubernetes, into an
emptyDir that the app's container mounts too: any image can then run
/kmsrun/kmsrun exec -- COMMAND, with nothing in it that knows of kmsrun.

Whoever runs DIR/kmsrun meanwhile gets the old one or the new one, whole.`

func installCommand() *cobra.Command {
	return &cobra.Command{
		Use: "install DIR", Short: "Copy this binary to a directory, for another container to run", Long: installLong,
		Example: "  kmsrun install /install",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return errors.New("want one directory: kmsrun install DIR")
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := install(args[0]); err != nil {
				return fmt.Errorf("installing kmsrun in %q: %w", args[0], err)
			}
			return nil
		},
	}
}

// install copies the running binary to dir/kmsrun in one rename, with mode 0755
// whatever the umask. It needs nothing but /proc and dir.
func install(dir string) error {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("opening this binary: %w", err)
	}
	defer self.Close()
	if err := checkInstallDir(dir); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return bare(err)
	}
	defer root.Close()
	temp := ".kmsrun." + rand.Text()
	err = copyTo(root, temp, self)
	if err == nil {
		err = root.Rename(temp, "kmsrun")
	}
	if err != nil {
		_ = root.Remove(temp)
		return explainInstall(err)
	}
	return syncDir(root)
}

// checkInstallDir refuses what would end in a riddle: a directory that nobody else
// sees, or that nothing can be run from.
func checkInstallDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("no such directory: mount the volume there that the app's container mounts too")
	}
	if err != nil {
		return bare(err)
	}
	if !info.IsDir() {
		return unix.ENOTDIR
	}
	if at, err := os.Stat(filepath.Join(dir, "kmsrun")); err == nil && at.IsDir() {
		return errors.New("kmsrun is a directory there: want a file, or nothing")
	}
	if mountedNoexec(dir) {
		return errors.New("it is mounted noexec, and nothing could be run from there: want another volume")
	}
	return nil
}

// copyTo makes name, whole and on its way to the disk.
func copyTo(root *os.Root, name string, from io.Reader) error {
	to, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = to.Chmod(0o755) // the umask may have taken bits
	}
	if err == nil {
		err = to.Sync()
	}
	if closed := to.Close(); err == nil {
		err = closed
	}
	return err
}

// syncDir makes the rename last. A file system that cannot is no failure: the file is there.
func syncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return bare(err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return bare(err)
	}
	return nil
}

// explainInstall adds what to do.
func explainInstall(err error) error {
	err = bare(err)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: make it writable for user %d (an emptyDir is; other volumes take fsGroup)", err, os.Geteuid())
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: mount a volume there, without readOnly", err)
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: the binary takes 20 MB; raise the volume's sizeLimit", err)
	}
	return err
}

// bare is err without the operation and the path, which the caller names.
func bare(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	if link, ok := errors.AsType[*os.LinkError](err); ok {
		return link.Err
	}
	return err
}
