package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hashicorp/go-multierror"
)

// FuzzDecode holds that no declaration panics the decoder or the rules, that every
// fault has a place and a text, and that one text is decoded alike twice.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("got %q, %v, want some declarations", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	decode := func(text []byte) (Config, error) {
		c := Default()
		d := &decoder{where: map[string]Fault{}, faulted: map[string]bool{}, stage: "ACSCurrent", file: "f"}
		d.decodeText(text, "f", &c)
		for _, name := range sortedKeys(c.Files.Items) {
			item := c.Files.Items[name]
			item.Template = "" // what is on this machine is not the input
			d.readTemplate(name, &item)
			c.Files.Items[name] = item
		}
		d.validate(&c)
		return c, d.faults.err()
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := decode(text)
		again, errAgain := decode(text)
		if (err == nil) != (errAgain == nil) || err == nil && !reflect.DeepEqual(c, again) {
			t.Errorf("got %+v, %v, then %+v, %v", c, err, again, errAgain)
		}
		if err == nil {
			_, _, _ = c.Explain(Watched), c.Doubts(), c.Uses()
			return
		}
		all, ok := errors.AsType[*multierror.Error](err)
		if !ok {
			t.Fatalf("got a %T", err)
		}
		for _, one := range all.WrappedErrors() {
			if fault, ok := errors.AsType[*Fault](one); !ok || fault.Text == "" || fault.File == "" && fault.Key == "" {
				t.Errorf("got %#v, want a fault with a place and a text", one)
			}
		}
	})
}
