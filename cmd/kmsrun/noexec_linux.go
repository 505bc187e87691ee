package main

import "golang.org/x/sys/unix"

// mountedNoexec tells whether nothing can be run from a directory.
func mountedNoexec(dir string) bool {
	var stat unix.Statfs_t
	err := unix.Statfs(dir, &stat)
	return err == nil && stat.Flags&unix.ST_NOEXEC != 0
}
