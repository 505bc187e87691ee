package render

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkPublish publishes 100 files of 1 KiB, all changed, and sweeps those before.
func BenchmarkPublish(b *testing.B) {
	dir, err := os.MkdirTemp("/dev/shm", "kmsrun-bench.")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d, err := OpenDir(settings(dir), variables(nil))
	if err != nil {
		b.Fatal(err)
	}
	defer d.Remove()
	var generations [2]map[string]File
	for i := range generations {
		generations[i] = map[string]File{}
		for n := range 100 {
			generations[i][fmt.Sprintf("conf/%d", n)] = NewFile([]byte(strings.Repeat(fmt.Sprint(i), 1024)), 0o400)
		}
	}
	publish := func(b *testing.B, files map[string]File) {
		staged, err := d.Stage(files)
		if err != nil {
			b.Fatal(err)
		}
		if err := staged.Commit(time.Now()); err != nil {
			b.Fatal(err)
		}
		d.SweepAll()
	}
	b.Run("files=100/changed", func(b *testing.B) {
		n := 0
		for b.Loop() {
			publish(b, generations[n%2])
			n++
		}
	})
	b.Run("files=100/same", func(b *testing.B) {
		for b.Loop() {
			publish(b, generations[0])
		}
	})
}
