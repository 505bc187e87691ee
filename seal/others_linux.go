package seal

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// sameMount tells whether two open files are on one mount (statx(2), STATX_MNT_ID);
// before Linux 5.8, which does not number mounts, on one filesystem.
func sameMount(a, b *os.File) (bool, error) {
	var of [2]unix.Statx_t
	for i, f := range []*os.File{a, b} {
		if err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &of[i]); err != nil {
			return false, err
		}
	}
	if of[0].Mask&of[1].Mask&unix.STATX_MNT_ID != 0 {
		return of[0].Mnt_id == of[1].Mnt_id, nil
	}
	return of[0].Dev_major == of[1].Dev_major && of[0].Dev_minor == of[1].Dev_minor, nil
}

// The entries of a POSIX ACL as the kernel hands it out (linux/posix_acl_xattr.h): a
// version of 4 bytes, then 8 bytes each.
const (
	aclVersion  = 2
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclMask     = 0x10
	aclHead     = 4
	aclEntry    = 8
	aclPossible = 4096 // bytes; far more entries than a credential has
)

// openToOthers tells whether anybody but the owner, ourselves and root may read or
// write. systemd lets the user of a unit read a credential by an ACL, whose mask then
// stands where the mode has the group's bits.
func openToOthers(f *os.File, info fs.FileInfo) (bool, error) {
	acl := make([]byte, aclPossible)
	n, err := unix.Fgetxattr(int(f.Fd()), "system.posix_acl_access", acl)
	switch {
	case errors.Is(err, unix.ENODATA), errors.Is(err, unix.EOPNOTSUPP):
		return info.Mode().Perm()&0o077 != 0, nil
	case err != nil:
		return true, err
	}
	return grantsOthers(acl[:n], os.Geteuid()), nil
}

// grantsOthers tells whether an ACL lets in anybody but its owner and the user self.
func grantsOthers(acl []byte, self int) bool {
	if len(acl) < aclHead || binary.LittleEndian.Uint32(acl) != aclVersion {
		return true
	}
	for e := acl[aclHead:]; len(e) >= aclEntry; e = e[aclEntry:] {
		tag, bits, id := binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), binary.LittleEndian.Uint32(e[4:])
		if tag == aclUserObj || tag == aclMask || tag == aclUser && int64(id) == int64(self) {
			continue
		}
		if bits != 0 {
			return true
		}
	}
	return false
}
