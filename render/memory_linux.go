package render

import "golang.org/x/sys/unix"

// inMemory tells whether a directory is on tmpfs or ramfs.
func inMemory(path string) (bool, error) {
	var stat unix.Statfs_t
	err := unix.Statfs(path, &stat)
	return stat.Type == unix.TMPFS_MAGIC || stat.Type == unix.RAMFS_MAGIC, err
}
