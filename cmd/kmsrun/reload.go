package main

import (
	"bytes"
	"os"

	"github.com/kmsrun/kmsrun/config"
)

// declaration is read at the start, and again when its files were edited.
type declaration struct {
	source config.Source
	text   []byte // of the file, as it was read last
	pinned bool   // the file itself does not reload: its text stays
}

// load reads the declaration as its files are now. One goroutine at a time may call it.
func (d *declaration) load() (config.Config, error) {
	source := d.source
	source.ReadFile = d.read
	c, err := config.Load(source)
	if err == nil {
		d.pinned = c.Watch.Reload != "all"
	}
	return c, err
}

func (d *declaration) read(path string) ([]byte, error) {
	if d.pinned && path == d.source.File {
		return bytes.Clone(d.text), nil
	}
	text, err := os.ReadFile(path)
	if err == nil && path == d.source.File {
		d.text = text
	}
	return text, err
}

// inputs lists the files whose edits are taken up while the program runs.
func (d *declaration) inputs(c config.Config) []string {
	if c.Watch.Reload == "none" {
		return nil
	}
	files := c.TemplateFiles()
	if c.Watch.Reload == "all" && d.source.File != "" {
		files = append(files, d.source.File)
	}
	return files
}
