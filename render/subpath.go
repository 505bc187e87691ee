package render

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// SubPath warns about a path below a subPath mount of Kubernetes, or returns "". Such
// a mount shows one directory or file of a volume, as it was when the container
// started: what is flipped or replaced in the volume later never shows there.
func SubPath(path string, lookup func(string) (string, bool)) string {
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	defer mounts.Close()
	_, kubernetes := lookup("KUBERNETES_SERVICE_HOST")
	if at := subPathMount(mounts, realPath(path), kubernetes); at != "" {
		return fmt.Sprintf("%q is below the subPath mount %q: it never updates; mount the whole volume", path, at)
	}
	return ""
}

// realPath follows symlinks as far as there is something.
func realPath(path string) string {
	rest := ""
	for at := filepath.Clean(path); at != "/" && at != "."; at = filepath.Dir(at) {
		if found, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(found, rest)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
	return filepath.Clean(path)
}

// What a mount of a subPath has for its root, the fourth field of mountinfo: more than
// the volume, where the volume is on the kubelet's disk; or one generation of a
// volume that the kubelet writes.
var subPathRoot = regexp.MustCompile(`/volumes/kubernetes\.io~[^/]+/[^/]+/.|/volume-subpaths/|/\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.[^/]+(/|$)`)

// subPathMount returns the mount point that path is on, if it is a subPath's. In
// Kubernetes so is any part of a volume in memory: nobody else mounts parts of those.
// The format is that of proc_pid_mountinfo(5).
func subPathMount(mounts io.Reader, path string, kubernetes bool) string {
	nearest, isSubPath := "", false
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		fields, filesystem, ok := strings.Cut(lines.Text(), " - ")
		field := strings.Fields(fields)
		if !ok || len(field) < 5 {
			continue
		}
		root, at := unescape.Replace(field[3]), unescape.Replace(field[4])
		if path != at && !strings.HasPrefix(path, strings.TrimSuffix(at, "/")+"/") || len(at) < len(nearest) {
			continue
		}
		// Of two on one place, the later lies on top.
		inMemory := kubernetes && strings.HasPrefix(filesystem, "tmpfs ") && root != "/"
		nearest, isSubPath = at, subPathRoot.MatchString(root) || inMemory
	}
	if !isSubPath {
		return ""
	}
	return nearest
}

// unescape undoes what the kernel does to blanks and backslashes in mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
