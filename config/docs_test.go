package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The manual lists the functions that templates have, and no others.
func TestManualListsFunctions(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/declaration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "Besides Go's own functions")
	table, _, _ = strings.Cut(table, "\n## ")
	_, table, _ = strings.Cut(table, "\n|---|")
	var listed []string
	for _, match := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(table, -1) {
		listed = append(listed, match[1])
	}
	slices.Sort(listed)
	want := slices.DeleteFunc(TemplateFunctions(), func(name string) bool { return name == "secret" })
	if !found || !slices.Equal(listed, want) {
		t.Errorf("got  %q\nwant %q", listed, want)
	}
}
