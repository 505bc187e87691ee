package inject

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// identity is as whom the program runs. Its zero value is us.
type identity struct {
	credential *syscall.Credential
	environ    map[string]string // that a login sets
}

// identityOf resolves child.user and child.group: names, or ids that nothing here
// needs to know.
func identityOf(userName, groupName string) (identity, error) {
	if userName == "" && groupName == "" {
		return identity{}, nil
	}
	c := &syscall.Credential{Uid: uint32(os.Geteuid()), NoSetGroups: true}
	who := identity{credential: c}
	needsGroup := false
	if userName != "" {
		var err error
		if who, needsGroup, err = identityOfUser(userName); err != nil {
			return identity{}, err
		}
		c = who.credential
	}
	switch id, err := groupID(groupName); {
	case err != nil:
		return identity{}, err
	case groupName != "":
		c.Gid = id
	case needsGroup:
		return identity{}, fmt.Errorf("child.user: nothing here knows the group of user %s: want child.group too", userName)
	}
	return who, nil
}

// identityOfUser is a user with the groups of the system's files. needsGroup tells
// that they don't know the id.
func identityOfUser(name string) (who identity, needsGroup bool, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.LookupId(name)
	}
	if err != nil {
		id, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return identity{}, false, fmt.Errorf("child.user: no user %q: want a name in /etc/passwd, or a number", name)
		}
		return identity{credential: &syscall.Credential{Uid: uint32(id)}}, true, nil
	}
	c := &syscall.Credential{}
	groups, err := u.GroupIds()
	if err != nil {
		return identity{}, false, fmt.Errorf("child.user: reading the groups of %q: %w", name, err)
	}
	for _, group := range groups {
		c.Groups = append(c.Groups, number(group))
	}
	c.Uid, c.Gid = number(u.Uid), number(u.Gid)
	return identity{c, map[string]string{"HOME": u.HomeDir, "USER": u.Username, "LOGNAME": u.Username}}, false, nil
}

func groupID(name string) (uint32, error) {
	if name == "" {
		return 0, nil
	}
	if g, err := user.LookupGroup(name); err == nil {
		return number(g.Gid), nil
	}
	id, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("child.group: no group %q: want a name in /etc/group, or a number", name)
	}
	return uint32(id), nil
}

// number is an id of the system's files, where it is always one.
func number(text string) uint32 {
	id, _ := strconv.ParseUint(text, 10, 32)
	return uint32(id)
}

// explain says what a refusal means.
func (i identity) explain(err error) error {
	if i.credential != nil && errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("%w: child.user and child.group take root, or CAP_SETUID and CAP_SETGID", err)
	}
	return err
}

// assume makes this process run as the identity, for good.
func (i identity) assume() error {
	c := i.credential
	if c == nil {
		return nil
	}
	if !c.NoSetGroups {
		groups := make([]int, len(c.Groups))
		for n, group := range c.Groups {
			groups[n] = int(group)
		}
		if err := syscall.Setgroups(groups); err != nil {
			return err
		}
	}
	if err := syscall.Setgid(int(c.Gid)); err != nil {
		return err
	}
	return syscall.Setuid(int(c.Uid))
}

// over is an environment with what a login of the identity sets.
func (i identity) over(environ []string) []string {
	for _, name := range []string{"HOME", "USER", "LOGNAME"} {
		if value := i.environ[name]; value != "" {
			environ = with(environ, name, value)
		}
	}
	return environ
}
