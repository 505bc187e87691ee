// Package terraform reads the Terraform example as Terraform would. It is a module of its own so that the product does not
// depend on the library for its language.
package terraform

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

const example = "../../examples/terraform"

func body(t *testing.T) *hclsyntax.Body {
	t.Helper()
	file, faults := hclparse.NewParser().ParseHCLFile(filepath.Join(example, "main.tf"))
	if faults.HasErrors() {
		t.Fatal(faults)
	}
	return file.Body.(*hclsyntax.Body)
}

// block finds the one block of that type and labels.
func block(t *testing.T, in *hclsyntax.Body, words ...string) *hclsyntax.Body {
	t.Helper()
	for _, b := range in.Blocks {
		if slices.Equal(append([]string{b.Type}, b.Labels...), words) {
			return b.Body
		}
	}
	t.Fatalf("no block %q", words)
	return nil
}

// values are the attributes of a block, which are all constants.
func values(t *testing.T, in *hclsyntax.Body) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, attribute := range in.Attributes {
		value, faults := attribute.Expr.Value(&hcl.EvalContext{})
		if faults.HasErrors() {
			t.Fatal(faults)
		}
		if value.Type().FriendlyName() == "bool" {
			all[name] = map[bool]string{true: "true", false: "false"}[value.True()]
			continue
		}
		all[name] = value.AsString()
	}
	return all
}

// Every file is as "terraform fmt" leaves it.
func TestFormatted(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(example, "*.tf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(hclwrite.Format(text)) != string(text) {
			t.Errorf("%s is not formatted", file)
		}
	}
}

// The provider is sent to the emulator, in the clear, with its key.
func TestProvider(t *testing.T) {
	t.Parallel()
	provider := block(t, body(t), "provider", "alicloud")
	got := values(t, provider)
	for name, want := range map[string]string{"protocol": "HTTP", "access_key": "emulator", "secret_key": "emulator-secret", "account_id": "1000000000000001"} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	for service, address := range values(t, block(t, provider, "endpoints")) {
		if !strings.HasPrefix(address, "127.0.0.1:") {
			t.Errorf("the endpoint of %s is %q, want the emulator's", service, address)
		}
	}
}

// The resources are those of the provider's documentation.
func TestResources(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]map[string]string{
		"alicloud_kms_secret": {
			"description": "from terraform", "force_delete_without_recovery": "true", "secret_data": "Secret data.",
			"secret_name": "secret-foo", "version_id": "000000000001",
		},
		"alicloud_kms_key": {
			"protection_level": "SOFTWARE", "description": "key description example", "key_spec": "Aliyun_AES_256",
			"key_usage": "ENCRYPT/DECRYPT", "rotation_interval": "604800s", "origin": "Aliyun_KMS", "automatic_rotation": "Enabled",
			"enable_automatic_rotation": "true", "status": "Enabled", "dkms_instance_id": "kst-hzz0123456789abcdef01",
			"policy": `{"Version":"1","Statement":[{"Action":["kms:*"],"Resource":["*"],"Effect":"Allow","Principal":{"RAM":["acs:ram::1192853035118460:*"]},"Sid":"kms default key policy"}]}`,
		},
	} {
		if got := values(t, block(t, body(t), "resource", kind, "default")); !maps.Equal(got, want) {
			t.Errorf("%s\n got %v\nwant %v", kind, got, want)
		}
	}
}
