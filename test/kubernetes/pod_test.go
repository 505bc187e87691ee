package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// pod is the template of a workload.
type pod struct {
	name string
	corev1.PodTemplateSpec
}

func pods(t *testing.T, objects []object) []pod {
	t.Helper()
	var found []pod
	for _, d := range of[*appsv1.Deployment](objects) {
		if !labels.SelectorFromSet(d.Spec.Selector.MatchLabels).Matches(labels.Set(d.Spec.Template.Labels)) {
			t.Errorf("%s: its selector does not match its own pods", d.Name)
		}
		found = append(found, pod{d.Name, d.Spec.Template})
	}
	for _, j := range of[*batchv1.Job](objects) {
		found = append(found, pod{j.Name, j.Spec.Template})
		for _, rule := range j.Spec.PodFailurePolicy.Rules {
			if name := *rule.OnExitCodes.ContainerName; !slices.ContainsFunc(j.Spec.Template.Spec.Containers, func(c corev1.Container) bool { return c.Name == name }) {
				t.Errorf("%s: no container %s for podFailurePolicy", j.Name, name)
			}
		}
	}
	return found
}

// containers are all of a pod's, in the order of their start.
func (p pod) containers() []corev1.Container {
	return slices.Concat(p.Spec.InitContainers, p.Spec.Containers)
}

// checkPod wants what admission and the kubelet would refuse, or let fail in silence.
func checkPod(t *testing.T, p pod, objects []object) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &p.ObjectMeta, &p.Spec)); !result.Allowed {
		t.Errorf("%s: not allowed where pod security is restricted: %s", p.name, result.ForbiddenDetail())
	}
	accounts := of[*corev1.ServiceAccount](objects)
	if len(accounts) > 0 && !slices.ContainsFunc(accounts, func(a *corev1.ServiceAccount) bool { return a.Name == p.Spec.ServiceAccountName }) {
		t.Errorf("%s: no service account %q", p.name, p.Spec.ServiceAccountName)
	}
	checkVolumes(t, p)
	for _, c := range p.containers() {
		checkPorts(t, p.name, c)
		if !*c.SecurityContext.ReadOnlyRootFilesystem {
			t.Errorf("%s: container %s: its root can be written", p.name, c.Name)
		}
	}
	for key, value := range p.Annotations {
		if !strings.HasSuffix(key, "-containers") {
			continue
		}
		for name := range strings.SplitSeq(value, ",") {
			if !slices.ContainsFunc(p.containers(), func(c corev1.Container) bool { return c.Name == name }) {
				t.Errorf("%s: annotation %s: no container %s", p.name, key, name)
			}
		}
	}
}

func checkVolumes(t *testing.T, p pod) {
	t.Helper()
	unused := map[string]bool{}
	for _, v := range p.Spec.Volumes {
		unused[v.Name] = true
	}
	declared := maps.Clone(unused)
	for _, c := range p.containers() {
		for _, m := range c.VolumeMounts {
			if !declared[m.Name] {
				t.Errorf("%s: container %s: no volume %s", p.name, c.Name, m.Name)
			}
			if m.SubPath != "" {
				t.Errorf("%s: container %s: volume %s: a subPath never follows a change", p.name, c.Name, m.Name)
			}
			delete(unused, m.Name)
		}
	}
	for name := range unused {
		t.Errorf("%s: volume %s is mounted nowhere", p.name, name)
	}
}

// checkPorts wants the ports of probes to be there.
func checkPorts(t *testing.T, pod string, c corev1.Container) {
	t.Helper()
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if probe == nil || probe.HTTPGet == nil {
			continue
		}
		port := probe.HTTPGet.Port.String()
		if !slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == port || fmt.Sprint(p.ContainerPort) == port }) {
			t.Errorf("%s: container %s: no port %s to probe", pod, c.Name, port)
		}
	}
}
