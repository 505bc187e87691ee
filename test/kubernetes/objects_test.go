// Package kubernetes reads examples/kubernetes as an API server of today does, and renders its
// chart with Helm's engine. It is a module of its own so that the product does not depend on
// either.
package kubernetes

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	serializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

const examples = "../../examples/kubernetes"

// object is one decoded object.
type object interface {
	runtime.Object
	metav1.Object
}

// strict is how an API server decodes under --validate=strict: case counts, and no field is
// unknown or doubled.
func strict(t *testing.T) *serializer.Serializer {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, networkingv1.AddToScheme, monitoringv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	options := serializer.SerializerOptions{Yaml: true, Strict: true}
	return serializer.NewSerializerWithOptions(serializer.DefaultMetaFactory, scheme, scheme, options)
}

// decode reads every document of a file.
func decode(t *testing.T, name string, text []byte) []object {
	t.Helper()
	var objects []object
	documents := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	defer documents.Close()
	decoder := strict(t)
	for buffer := make([]byte, len(text)+1); ; {
		n, err := documents.Read(buffer)
		if err == io.EOF {
			return objects
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(bytes.TrimSpace(buffer[:n])) == 0 {
			continue
		}
		decoded, _, err := decoder.Decode(buffer[:n], nil, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		objects = append(objects, decoded.(object))
	}
}

// manifests are the objects of the plain files, by the file's name.
func manifests(t *testing.T) map[string][]object {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	all := map[string][]object{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(path)] = decode(t, filepath.Base(path), text)
	}
	return all
}

// of picks the objects of one type.
func of[T any](objects []object) []T {
	var picked []T
	for _, o := range objects {
		if o, ok := o.(T); ok {
			picked = append(picked, o)
		}
	}
	return picked
}

// TestStrict wants the decoder to refuse what an API server would.
func TestStrict(t *testing.T) {
	for _, text := range []string{
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatum: {}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nDATA: {}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, name: b}\n",
		"apiVersion: apps/v2\nkind: Deployment\nmetadata: {name: a}\n",
	} {
		if _, _, err := strict(t).Decode([]byte(text), nil, nil); err == nil {
			t.Errorf("decoding %q: got no error, want one", text)
		}
	}
}
