// Package monitoring checks the dashboard and the alert rules against the series that kmsrun has.
package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

type dashboard struct {
	UID    string `json:"uid"`
	Panels []struct {
		ID      int    `json:"id"`
		Title   string `json:"title"`
		GridPos struct{ X, Y, W, H int }
		Targets []struct {
			Expr string `json:"expr"`
		} `json:"targets"`
	} `json:"panels"`
	Annotations struct {
		List []struct {
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

type rules struct {
	Groups []struct {
		Rules []struct {
			Alert string `yaml:"alert"`
			Expr  string `yaml:"expr"`
		} `yaml:"rules"`
	} `yaml:"groups"`
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// expressions are those of the dashboard and of the rules, by where they are.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	var d dashboard
	if err := json.Unmarshal(read(t, "dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for i, target := range p.Targets {
			all[fmt.Sprintf("panel %q, query %d", p.Title, i)] = target.Expr
		}
	}
	for i, a := range d.Annotations.List {
		all[fmt.Sprintf("annotation %d", i)] = a.Expr
	}
	var r rules
	if err := yaml.Unmarshal(read(t, "rules.yaml"), &r); err != nil {
		t.Fatal(err)
	}
	for _, g := range r.Groups {
		for _, rule := range g.Rules {
			all["alert "+rule.Alert] = rule.Expr
		}
	}
	if len(all) < 15 {
		t.Fatalf("got %d expressions, want all of them", len(all))
	}
	return all
}

// TestSeries wants every series that is asked for, and every label of it, to be one of kmsrun's.
func TestSeries(t *testing.T) {
	series := map[string][]string{} // the labels of each
	sample := regexp.MustCompile(`(?m)^(kmsrun_\w+)(?:\{(.*)\})? `)
	label := regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)\s*"`)
	for _, m := range sample.FindAllStringSubmatch(string(read(t, "../../metrics/testdata/series.txt")), -1) {
		series[m[1]] = []string{"namespace", "pod", "instance", "job"} // what Prometheus adds
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			series[m[1]] = append(series[m[1]], l[1])
		}
	}
	used := regexp.MustCompile(`(kmsrun_\w+)(?:\{([^}]*)\})?`)
	for where, expr := range expressions(t) {
		found := used.FindAllStringSubmatch(expr, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for nothing of kmsrun's: %s", where, expr)
		}
		for _, m := range found {
			labels, known := series[m[1]]
			if !known {
				t.Errorf("%s: kmsrun has no series %s", where, m[1])
			}
			for _, l := range label.FindAllStringSubmatch(m[2], -1) {
				if known && !slices.Contains(labels, l[1]) {
					t.Errorf("%s: %s has no label %s", where, m[1], l[1])
				}
			}
		}
	}
}

// TestResults wants each result that is asked for to be there from the start, at zero: an
// increase in a series that begins at 1 is none.
func TestResults(t *testing.T) {
	counted := string(read(t, "../../metrics/testdata/series.txt"))
	result := regexp.MustCompile(`kmsrun_generations_total\{[^}]*result="(\w+)"`)
	for where, expr := range expressions(t) {
		for _, m := range result.FindAllStringSubmatch(expr, -1) {
			there := strings.Contains(counted, fmt.Sprintf("kmsrun_generations_total{result=%q} ", m[1]))
			if !there {
				t.Errorf("%s: kmsrun counts no result %s", where, m[1])
			}
		}
	}
}

// TestDashboard wants panels that Grafana can tell apart, and that do not overlap.
func TestDashboard(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal(read(t, "dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" {
		t.Error("no uid: an import would make another dashboard each time")
	}
	taken := map[[2]int]string{}
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || len(p.Targets) == 0 {
			t.Errorf("panel %q: its id %d is taken, or it has no query", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies on %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// TestPromtool has Prometheus parse every expression, and run the unit tests of the rules.
func TestPromtool(t *testing.T) {
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no promtool, and CI skips nothing")
		}
		t.Skip("SKIPPED: no promtool")
	}
	// The dashboard's, with Grafana's variables filled in, as rules of their own.
	var queries strings.Builder
	queries.WriteString("groups:\n- name: dashboard\n  rules:\n")
	n := 0
	for where, expr := range expressions(t) {
		expr = strings.NewReplacer("$__rate_interval", "5m", "$namespace", ".*", "$pod", ".*").Replace(expr)
		if strings.Contains(expr, "$") {
			t.Errorf("%s: an unknown variable: %s", where, expr)
		}
		fmt.Fprintf(&queries, "  - record: query%d\n    expr: %q\n", n, expr)
		n++
	}
	file := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(file, []byte(queries.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", "rules.yaml", file}, {"test", "rules", "rules.test.yaml"}} {
		if output, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, output)
		}
	}
}
