package render

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// shows tells whether the present generation is these files already: the same names,
// bytes, modes and owners, and nothing besides. What can't be read is not the same.
func (d *Dir) shows(files map[string]File, owners map[ownerKey]ids, dirMode fs.FileMode) bool {
	present, err := d.root.Readlink(dataLink)
	if err != nil || !generationName.MatchString(present) || !d.hasLinks(files) {
		return false
	}
	generation, err := d.root.OpenRoot(present)
	if err != nil {
		return false
	}
	defer generation.Close()
	made, err := d.wouldBelongTo()
	if err != nil {
		return false
	}
	dirs, seen := map[string]bool{".": true}, 0
	for name := range files {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			dirs[dir] = true
		}
	}
	same := true
	err = fs.WalkDir(generation.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := generation.Lstat(name)
		if err != nil {
			return err
		}
		seen++
		file, isFile := files[name]
		same = isFile && isFileThere(generation, name, info, file, made.with(owners[file.Owner])) ||
			dirs[name] && info.IsDir() && info.Mode().Perm() == dirMode && belongs(info, made)
		if !same {
			return fs.SkipAll
		}
		return nil
	})
	return err == nil && same && seen == len(files)+len(dirs)
}

func (d *Dir) hasLinks(files map[string]File) bool {
	for _, top := range tops(files) {
		if target, err := d.root.Readlink(top); err != nil || target != dataLink+"/"+top {
			return false
		}
	}
	return true
}

func isFileThere(generation *os.Root, name string, info fs.FileInfo, file File, owner ids) bool {
	if info.Mode() != file.Mode || !belongs(info, owner) || info.Size() != int64(len(file.content())) {
		return false
	}
	content, err := generation.ReadFile(name)
	return err == nil && bytes.Equal(content, file.content())
}

// wouldBelongTo is the owner of what is made in the directory now.
func (d *Dir) wouldBelongTo() (ids, error) {
	info, err := d.root.Stat(".")
	if err != nil {
		return ids{}, err
	}
	owner := ids{os.Geteuid(), os.Getegid()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode()&fs.ModeSetgid != 0 {
		owner.group = int(stat.Gid)
	}
	return owner, nil
}

func belongs(info fs.FileInfo, owner ids) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == owner.user && int(stat.Gid) == owner.group
}
