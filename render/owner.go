package render

import (
	"fmt"
	"os"
	"os/user"
	"strconv"

	"github.com/kmsrun/kmsrun/config"
)

// ids is an owner as chown takes it; -1 leaves a part as it is.
type ids struct{ user, group int }

type ownerKey = config.Owner

var asWeAre = ids{-1, -1}

// with is o after a chown to other.
func (o ids) with(other ids) ids {
	if other.user != -1 {
		o.user = other.user
	}
	if other.group != -1 {
		o.group = other.group
	}
	return o
}

// lookUpOwners finds the ids of every owner of files.
func lookUpOwners(files map[string]File) (map[ownerKey]ids, error) {
	found := map[ownerKey]ids{}
	for _, file := range files {
		if _, known := found[file.Owner]; known {
			continue
		}
		owner, err := lookUpOwner(file.Owner)
		if err != nil {
			return nil, err
		}
		found[file.Owner] = owner
	}
	return found, nil
}

func lookUpOwner(owner config.Owner) (ids, error) {
	uid, err := lookUpID(owner.User, "user", func(name string) (string, error) {
		found, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return found.Uid, nil
	})
	if err != nil {
		return ids{}, err
	}
	gid, err := lookUpID(owner.Group, "group", func(name string) (string, error) {
		found, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return found.Gid, nil
	})
	return ids{uid, gid}, err
}

// lookUpID takes digits for the id itself, as chown does where no such name is.
func lookUpID(name, kind string, lookUp func(string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return int(id), nil
	}
	text, err := lookUp(name)
	if err != nil {
		return 0, fmt.Errorf("no %s %q here; where there is no /etc/passwd, as in many images, an owner is given by id", kind, name)
	}
	return strconv.Atoi(text)
}

// anotherOwner tells whether a file goes to somebody else than us.
func anotherOwner(owners map[ownerKey]ids) bool {
	for _, owner := range owners {
		if owner.user != -1 && owner.user != os.Geteuid() || owner.group != -1 && owner.group != os.Getegid() {
			return true
		}
	}
	return false
}
