package render

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kmsrun/kmsrun/config"
)

// Inspect tells where files would go, without making anything: the declared directory,
// or the first of the usual places that could be made. Doubts are what a person
// should know of it.
func Inspect(settings config.Files, lookup func(string) (string, bool)) (dir string, doubts []string) {
	if dir = settings.Dir; dir != "" {
		if info, err := os.Lstat(dir); err == nil && info.IsDir() {
			if err := checkOwner(dir, info); err != nil {
				doubts = append(doubts, explain(dir, err).Error())
			}
		}
		if err := explain(dir, refuseLink(dir)); err != nil {
			doubts = append(doubts, err.Error())
		}
		switch inMemory, err := liesInMemory(dir); {
		case err != nil:
			doubts = append(doubts, explain(dir, err).Error())
		case !inMemory && settings.Disk != "allow":
			doubts = append(doubts, explain(dir, errOnDisk).Error())
		case !inMemory:
			doubts = append(doubts, explain(dir, errors.New("not on tmpfs or ramfs: secrets reach a disk, as files.disk allows")).Error())
		}
	} else {
		for _, place := range usualPlaces(lookup) {
			if inMemory, err := liesInMemory(place); err == nil && (inMemory || settings.Disk == "allow") {
				dir = place
				break
			}
		}
		if dir == "" {
			return "", []string{"no place in memory that could be used for files: " + howToMount}
		}
		dir = strings.TrimSuffix(dir, filepath.Base(dir)) + placeName(filepath.Base(dir))
	}
	if doubt := SubPath(dir, lookup); doubt != "" {
		doubts = append(doubts, doubt)
	}
	return dir, doubts
}

// placeName is the name of a usual place, less what is random in it.
func placeName(base string) string {
	if before, _, ok := strings.Cut(base, "."); ok && before == "kmsrun" {
		return "kmsrun.RANDOM"
	}
	return base
}

// liesInMemory tells whether a directory is, or would be made, on tmpfs or ramfs where we
// may write.
func liesInMemory(path string) (bool, error) {
	there := path
	for {
		info, err := os.Stat(there)
		if err == nil && !info.IsDir() {
			return false, unix.ENOTDIR
		}
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrNotExist) || there == filepath.Dir(there) {
			return false, err
		}
		there = filepath.Dir(there)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, there, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return false, err
	}
	return inMemory(there)
}
