// Publisher publishes generations FROM to TO in DIR, and ends without a word to the
// directory, as a killed kmsrun does. Each line of a file tells the generation and the
// file; the file manifest lists all others: name, mode, user, group, lines.
//
//	publisher DIR GRACE FROM TO
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/render"
)

func main() {
	grace, err := time.ParseDuration(os.Args[2])
	check(err)
	from, err := strconv.Atoi(os.Args[3])
	check(err)
	to, err := strconv.Atoi(os.Args[4])
	check(err)
	dir, err := render.OpenDir(config.Files{Dir: os.Args[1], Disk: "refuse", Grace: grace}, os.LookupEnv)
	check(err)
	for n := from; n <= to; n++ {
		staged, err := dir.Stage(generation(n))
		check(err)
		check(staged.Commit(time.Now()))
		dir.Sweep(time.Now())
		fmt.Println(n)
	}
}

func generation(n int) map[string]render.File {
	files := map[string]render.File{}
	manifest := fmt.Sprintf("%08d manifest\n", n)
	add := func(name string, lines, mode int, owner config.Owner) {
		line := fmt.Sprintf("%08d %s\n", n, name)
		file := render.NewFile([]byte(strings.Repeat(line, lines)), os.FileMode(mode))
		uid, gid := os.Geteuid(), os.Getegid()
		if uid == 0 && owner != (config.Owner{}) {
			file.Owner = owner
			uid, _ = strconv.Atoi(owner.User)
			gid, _ = strconv.Atoi(owner.Group)
		}
		files[name] = file
		manifest += fmt.Sprintf("%s %o %d %d %d\n", name, mode, uid, gid, lines)
	}
	add("always", 700, 0o400, config.Owner{}) // pages, so that a write is not one step
	add("given", 1, 0o440, config.Owner{User: "4242", Group: "4343"})
	add("deep/er/file", 300, 0o644, config.Owner{})
	if n%2 == 0 {
		add("even", 1, 0o400, config.Owner{})
	} else {
		add("odd/file", 1, 0o600, config.Owner{})
	}
	files["manifest"] = render.NewFile([]byte(manifest), 0o400)
	return files
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
		os.Exit(1)
	}
}
