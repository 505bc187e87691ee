package kmsrun

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kmsrun/kmsrun"

// arrows lists what each package of ours may import of ours. A package that is not
// listed is a fault: the house has a plan.
var arrows = map[string][]string{
	"secret":              {},
	"config":              {"secret", "internal/jmes"},
	"kms":                 {"secret", "config", "internal/exchange"},
	"emulator":            {"internal/filewatch"},
	"watch":               {"secret", "config", "metrics", "internal/filewatch"},
	"render":              {"secret", "config", "internal/jmes"},
	"inject":              {"secret", "config", "watch", "render", "metrics", "internal/proc", "internal/asfound", "internal/notify", "internal/systemd"},
	"metrics":             {"config", "internal/exchange"},
	"seal":                {"secret", "config", "watch", "metrics"},
	"internal/debugguard": {},
	"internal/asfound":    {"internal/debugguard"},
	"internal/exchange":   {},
	"internal/filewatch":  {},
	"internal/jmes":       {},
	"internal/proc":       {"internal/asfound"},
	"internal/notify":     {"config", "internal/proc", "internal/exchange"},
	"internal/systemd":    {},
	"cmd/kmsrun":          {"secret", "config", "kms", "emulator", "watch", "render", "inject", "metrics", "seal", "internal/debugguard", "internal/asfound", "internal/proc"},
	"examples/demo":       {},
	"examples/demo/app":   {},
}

// closed lists imports that are forbidden but to the packages named.
var closed = map[string][]string{
	"github.com/aliyun/":                 {"kms"},
	"github.com/prometheus/":             {"metrics"},
	"github.com/spf13/":                  {"cmd/kmsrun"},
	"net/http":                           {"kms", "metrics", "emulator", "cmd/kmsrun", "examples/demo", "internal/notify", "internal/exchange"},
	"github.com/fsnotify/":               {"internal/filewatch"},
	"os/exec":                            {"examples/demo"},
	"filippo.io/":                        {"config", "seal"},
	"github.com/hashicorp/go-multierror": {"config", "watch", "render", "inject"},
}

// standardOnly lists packages that import nothing but the standard library.
var standardOnly = []string{"secret", "internal/debugguard", "internal/asfound", "internal/exchange"}

func TestImportArrows(t *testing.T) {
	for file, imports := range sources(t) {
		pkg := path.Dir(file)
		allowed, known := arrows[pkg]
		if !known {
			t.Errorf("%s: package %s is not in the plan of the house (arrows)", file, pkg)
			continue
		}
		for _, imported := range imports {
			ours, ok := strings.CutPrefix(imported, module+"/")
			if ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s: no such arrow", file, ours)
			}
			if slices.Contains(standardOnly, pkg) && !ok && strings.Contains(imported, ".") {
				t.Errorf("%s imports %s: only the standard library is allowed there", file, imported)
			}
			for prefix, users := range closed {
				if strings.HasPrefix(imported, prefix) && !slices.Contains(users, pkg) {
					t.Errorf("%s imports %s: only %v may", file, imported, users)
				}
			}
		}
	}
}

// TestPlaintextLeavesInFewPlaces lists every file that may take the bytes out of a
// secret.Value.
func TestPlaintextLeavesInFewPlaces(t *testing.T) {
	want := []string{"render/mask.go", "render/select.go", "seal/document.go", "secret/value.go"}
	var got []string
	for file := range sources(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		usesSecret := path.Dir(file) == "secret" || strings.Contains(string(text), module+"/secret")
		if usesSecret && strings.Contains(string(text), ".Bytes()") {
			got = append(got, file)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("files that call Bytes(): got %v, want %v", got, want)
	}
}

// TestSealPrintsNothing: the one file of seal that sees plaintext has nothing to print,
// log or write it with.
func TestSealPrintsNothing(t *testing.T) {
	for _, imported := range sources(t)["seal/document.go"] {
		if slices.Contains([]string{"fmt", "log", "log/slog", "os", "io"}, imported) {
			t.Errorf("seal/document.go imports %s", imported)
		}
	}
}

// TestTrapsInSources: net/http's default clients have no time-out, no cap and a proxy
// for everything; and any action but these would put more into a URL than a name.
func TestTrapsInSources(t *testing.T) {
	actions := regexp.MustCompile(`\b(?:sdkkms|sts)\.(Create\w+|New\w+)\(`)
	allowed := []string{
		"CreateGetSecretValueRequest", "CreateGetSecretValueResponse", "CreateAssumeRoleRequest", "CreateAssumeRoleResponse",
	}
	for file := range sources(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"http.Default", "http.Get(", "http.Post", "http.Head("} {
			if strings.Contains(string(text), word) && !strings.HasPrefix(file, "examples/") {
				t.Errorf("%s has %s", file, word)
			}
		}
		for _, m := range actions.FindAllStringSubmatch(string(text), -1) {
			if path.Dir(file) == "kms" && !slices.Contains(allowed, m[1]) {
				t.Errorf("%s calls %s", file, m[1])
			}
		}
	}
}

// TestOneOwnerOfWait: whoever else starts or waits for a process steals a status from
// the process table, or loses one to it.
func TestOneOwnerOfWait(t *testing.T) {
	for file := range sources(t) {
		if path.Dir(file) == "internal/proc" || strings.HasPrefix(file, "examples/") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range []string{"StartProcess(", "FindProcess(", "ForkExec(", "Wait4(", "Waitid(", "PR_SET_CHILD_SUBREAPER"} {
			if strings.Contains(string(text), call) {
				t.Errorf("%s has %s: only internal/proc may", file, call)
			}
		}
		if strings.Contains(string(text), "RLIMIT_NOFILE") {
			t.Errorf("%s has RLIMIT_NOFILE: once it is set, Go gives programs its own limit, and not the one that it found", file)
		}
	}
}

// sources maps every Go file that is not a test to its imports.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "testdata" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files[name] = nil
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			files[name] = append(files[name], imported)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
