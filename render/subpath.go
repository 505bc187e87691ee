package render

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// subPathRoot is the root, in mountinfo, of a mount that shows a part of a Kubernetes
// volume instead of all of it.
var subPathRoot = regexp.MustCompile(`/volumes/kubernetes\.io~[^/]+/[^/]+/.|/volume-subpaths/`)

// SubPath warns about a path below a subPath mount of Kubernetes, which shows what was
// there when the container started, or returns "".
func SubPath(path string, _ func(string) (string, bool)) string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	if at := subPathMount(string(table), path); at != "" {
		return fmt.Sprintf("%q is below the subPath mount %q: it never updates; mount the whole volume", path, at)
	}
	return ""
}

// subPathMount is the mount that path is on, if it is a subPath's; the table is in the
// format of proc_pid_mountinfo(5).
func subPathMount(table, path string) string {
	at, root := "", ""
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 4 {
			point := strings.TrimSuffix(fields[4], "/")
			if (path == point || strings.HasPrefix(path, point+"/")) && len(point) >= len(at) {
				at, root = point, fields[3]
			}
		}
	}
	if !subPathRoot.MatchString(root) {
		return ""
	}
	return at
}
