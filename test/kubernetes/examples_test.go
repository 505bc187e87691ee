package kubernetes

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// TestExamples reads every manifest, and the chart with every set of values in its ci directory.
func TestExamples(t *testing.T) {
	k := newKmsrun(t)
	var plain []object
	for file, objects := range manifests(t) {
		plain = append(plain, objects...)
		for _, p := range pods(t, objects) {
			k.check(t, strings.TrimSuffix(file, ".yaml"), p, objects)
		}
	}
	check(t, plain)
	files, err := filepath.Glob(filepath.Join(examples, "chart/ci/*-values.yaml"))
	if err != nil || len(files) != 4 {
		t.Fatalf("values of the chart: got %v (%v), want one of each mode", files, err)
	}
	for _, file := range files {
		mode := strings.TrimSuffix(filepath.Base(file), "-values.yaml")
		objects := render(t, file)
		check(t, objects)
		for _, p := range pods(t, objects) {
			k.check(t, "chart-"+mode, p, objects)
		}
	}
}

// check looks at objects that are applied together.
func check(t *testing.T, objects []object) {
	t.Helper()
	all := pods(t, objects)
	if len(all) == 0 {
		t.Error("no pods")
	}
	for _, p := range all {
		checkPod(t, p, objects)
	}
	for _, m := range of[*monitoringv1.PodMonitor](objects) {
		served := 0
		for _, p := range all {
			if !hasPort(p, *m.Spec.PodMetricsEndpoints[0].Port) {
				continue
			}
			served++
			if !labels.SelectorFromSet(m.Spec.Selector.MatchLabels).Matches(labels.Set(p.Labels)) {
				t.Errorf("%s: %s is not monitored", m.Name, p.name)
			}
		}
		if served == 0 {
			t.Errorf("%s: no pod has its port", m.Name)
		}
	}
	for _, n := range of[*networkingv1.NetworkPolicy](objects) {
		for _, p := range all {
			if !labels.SelectorFromSet(n.Spec.PodSelector.MatchLabels).Matches(labels.Set(p.Labels)) {
				t.Errorf("%s: it does not select %s", n.Name, p.name)
			}
		}
	}
	for _, o := range objects {
		if _, isNamespace := o.(*corev1.Namespace); !isNamespace && o.GetNamespace() != "shop" {
			t.Errorf("%T %s: namespace: got %q, want shop", o, o.GetName(), o.GetNamespace())
		}
	}
}

func hasPort(p pod, name string) bool {
	return slices.ContainsFunc(p.containers(), func(c corev1.Container) bool {
		return slices.ContainsFunc(c.Ports, func(port corev1.ContainerPort) bool { return port.Name == name })
	})
}

// render is helm template with a file of values.
func render(t *testing.T, file string) []object {
	t.Helper()
	texts, err := renderTexts(t, file)
	if err != nil {
		t.Fatal(err)
	}
	var objects []object
	for name, text := range texts {
		if strings.HasSuffix(name, ".yaml") {
			objects = append(objects, decode(t, file+": "+name, []byte(text))...)
		}
	}
	return objects
}

func renderTexts(t *testing.T, file string) (map[string]string, error) {
	t.Helper()
	chart, err := loader.Load(filepath.Join(examples, "chart"))
	if err != nil {
		t.Fatal(err)
	}
	if err := chart.Validate(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	values, err := common.ReadValues(text)
	if err != nil {
		t.Fatal(err)
	}
	release := common.ReleaseOptions{Name: "orders", Namespace: "shop", Revision: 3, IsInstall: true}
	all, err := util.ToRenderValues(chart, values, release, nil)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(chart, all)
}

// TestChartRefuses wants the chart's schema to stop what could not work.
func TestChartRefuses(t *testing.T) {
	for _, test := range []struct{ values, want string }{
		{"{mode: exec, command: [a]}", "/image/repository"},
		{"{mode: exec, image: {repository: a}}", "/command"},
		{"{mode: jobs, image: {repository: a}}", "/mode"},
		{"{mode: init, image: {repository: a}, replica: 2}", "replica"},
		{"{mode: init, image: {repository: a}, kmsrun: {declaration: {version: null}}}", "version"},
	} {
		file := filepath.Join(t.TempDir(), "values.yaml")
		if err := os.WriteFile(file, []byte(test.values), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := renderTexts(t, file); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("values %s: got error %v, want one that says %q", test.values, err, test.want)
		}
	}
}
