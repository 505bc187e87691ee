//go:build !linux

package seal

import (
	"io/fs"
	"os"
	"syscall"
)

// sameMount tells whether two open files are on one filesystem.
func sameMount(a, b *os.File) (bool, error) {
	var devices [2]uint64
	for i, f := range []*os.File{a, b} {
		info, err := f.Stat()
		if err != nil {
			return false, err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			devices[i] = uint64(stat.Dev)
		}
	}
	return devices[0] == devices[1], nil
}

// openToOthers goes by the mode alone.
func openToOthers(_ *os.File, info fs.FileInfo) (bool, error) {
	return info.Mode().Perm()&0o077 != 0, nil
}
