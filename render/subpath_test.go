package render

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// mountinfo is what a container in a pod has, shortened.
const mountinfo = `1 0 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/a
2 1 0:51 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
3 2 0:52 / /dev/shm rw - tmpfs shm rw,size=65536k
4 1 253:1 /var/lib/kubelet/pods/d166411c-ea15/volumes/kubernetes.io~configmap/cfg/..2021_07_21_11_21_39.969349293/app.yaml /etc/app/app.yaml ro - ext4 /dev/vda1 rw
5 1 253:1 /var/lib/kubelet/pods/d166411c-ea15/volumes/kubernetes.io~configmap/cfg /etc/whole ro - ext4 /dev/vda1 rw
6 1 253:1 /kubelet/pods/d166411c-ea15/volumes/kubernetes.io~empty-dir/shop/sub /mnt/one rw shared:29 - xfs /dev/vdb rw
7 1 253:1 /kubelet/pods/d166411c-ea15/volumes/kubernetes.io~empty-dir/shop /mnt/all rw - xfs /dev/vdb rw
8 1 0:60 /app /run/part rw - tmpfs tmpfs rw,size=1g
9 1 0:60 / /run/whole rw - tmpfs tmpfs rw,size=1g
10 1 0:61 /..2021_07_21_11_21_39.969349293/tls.key /etc/tls.key ro - tmpfs tmpfs rw
11 1 0:62 /x /run/a\040b rw - tmpfs tmpfs rw
12 8 0:63 / /run/part/over rw - tmpfs tmpfs rw
13 1 0:64 / /run/hidden rw - tmpfs tmpfs rw
14 1 0:64 /sub /run/hidden rw - tmpfs tmpfs rw
broken line
`

func TestSubPathMount(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]struct{ inKubernetes, elsewhere string }{
		"/run/kmsrun":         {},
		"/dev/shm/kmsrun.X":   {},
		"/etc/app/app.yaml":   {"/etc/app/app.yaml", "/etc/app/app.yaml"},
		"/etc/app/other":      {},
		"/etc/whole/app.yaml": {},
		"/mnt/one":            {"/mnt/one", "/mnt/one"},
		"/mnt/one/deep/er":    {"/mnt/one", "/mnt/one"},
		"/mnt/one-more":       {},
		"/mnt/all/sub":        {},
		"/run/part/files":     {"/run/part", ""}, // systemd and docker mount parts of a tmpfs too
		"/run/part/over/x":    {},
		"/run/whole/files":    {},
		"/etc/tls.key":        {"/etc/tls.key", "/etc/tls.key"},
		"/run/a b/files":      {"/run/a b", ""},
		"/run/hidden/x":       {"/run/hidden", ""},
	} {
		if got := subPathMount(strings.NewReader(mountinfo), path, true); got != want.inKubernetes {
			t.Errorf("%s in Kubernetes: got %q, want %q", path, got, want.inKubernetes)
		}
		if got := subPathMount(strings.NewReader(mountinfo), path, false); got != want.elsewhere {
			t.Errorf("%s elsewhere: got %q, want %q", path, got, want.elsewhere)
		}
	}
}

// A real mount of a part of a real tmpfs, reached by way of a symlink.
func TestSubPath(t *testing.T) {
	t.Parallel()
	volume := tiny(t, "size=64k")
	sub, at := filepath.Join(volume, "sub"), filepath.Join(t.TempDir(), "at")
	mkdir(t, sub)
	mkdir(t, at)
	need(t, unix.Mount(sub, at, "", unix.MS_BIND, "") == nil, "leave to mount")
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	link := at + "-link"
	if err := os.Symlink(at, link); err != nil {
		t.Fatal(err)
	}
	inKubernetes := variables(map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
	want := `"` + link + `/not/yet" is below the subPath mount "` + at + `": it never updates; mount the whole volume`
	if got := SubPath(link+"/not/yet", inKubernetes); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := SubPath(filepath.Join(volume, "sub"), inKubernetes); got != "" {
		t.Errorf("the whole volume: got %s, want no warning", got)
	}
	if got := SubPath(link, variables(nil)); got != "" {
		t.Errorf("not in Kubernetes: got %s, want no warning", got)
	}
}
