package inject

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

const allSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// sealedFile makes a file in memory that nobody can change, under the number of the
// one before it, or a new number.
func sealedFile(content []byte, before *os.File) (*os.File, error) {
	fd, err := unix.MemfdCreate("kmsrun", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) { // a kernel before 6.3
		fd, err = unix.MemfdCreate("kmsrun", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "kmsrun")
	defer file.Close()
	if _, err := file.Write(content); err != nil {
		return nil, err
	}
	if err := file.Chmod(0o444); err != nil { // for a program that runs as another user
		return nil, err
	}
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, allSeals); err != nil {
		return nil, err
	}
	if before != nil {
		return before, unix.Dup3(fd, int(before.Fd()), unix.O_CLOEXEC)
	}
	number, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, firstMemoryFile)
	if errors.Is(err, unix.EINVAL) { // a low limit of open files
		number, err = unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(number), "kmsrun"), nil
}
