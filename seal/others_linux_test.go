package seal

import (
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestACL: systemd gives the user of a unit his credential by an ACL, whose mask looks
// like a group's right in the mode.
func TestACL(t *testing.T) {
	t.Parallel()
	const userObj, user, groupObj, group, mask, other, none = 1, 2, 4, 8, 16, 32, 0xffffffff
	acl := func(entries ...[3]uint32) []byte {
		b := binary.LittleEndian.AppendUint32(nil, aclVersion)
		for _, e := range entries {
			b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
			b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
			b = binary.LittleEndian.AppendUint32(b, e[2])
		}
		return b
	}
	self := uint32(os.Geteuid())
	theUnit := acl([3]uint32{userObj, 4, none}, [3]uint32{user, 4, self}, [3]uint32{groupObj, 0, none}, [3]uint32{mask, 4, none}, [3]uint32{other, 0, none})
	for name, test := range map[string]struct {
		acl  []byte
		want bool
	}{
		"the user of the unit": {theUnit, false},
		"another user":         {acl([3]uint32{userObj, 4, none}, [3]uint32{user, 4, self + 1}, [3]uint32{groupObj, 0, none}, [3]uint32{mask, 4, none}, [3]uint32{other, 0, none}), true},
		"the group":            {acl([3]uint32{userObj, 4, none}, [3]uint32{groupObj, 4, none}, [3]uint32{other, 0, none}), true},
		"a group":              {acl([3]uint32{userObj, 4, none}, [3]uint32{groupObj, 0, none}, [3]uint32{group, 4, 7}, [3]uint32{mask, 4, none}, [3]uint32{other, 0, none}), true},
		"all":                  {acl([3]uint32{userObj, 4, none}, [3]uint32{groupObj, 0, none}, [3]uint32{other, 4, none}), true},
		"no ACL we know":       {[]byte{3, 0, 0, 0}, true},
		"cut off":              {nil, true},
	} {
		if got := grantsOthers(test.acl, int(self)); got != test.want {
			t.Errorf("%s: open to others: got %t, want %t", name, got, test.want)
		}
	}
	c := declared(t)
	if err := unix.Setxattr(c.Sealed.Identity, "system.posix_acl_access", theUnit, 0); err != nil {
		t.Skipf("SKIPPED: a credential with an ACL: %v", err)
	}
	info, err := os.Stat(c.Sealed.Identity)
	if err != nil || info.Mode().Perm() != 0o440 {
		t.Fatalf("mode: got %v, %v; want 0440, the mask", info.Mode(), err)
	}
	if _, err := New(c, nothing, silent()); err != nil {
		t.Error(err)
	}
}
