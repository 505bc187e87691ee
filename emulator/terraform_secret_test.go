package emulator

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// createSecret is the resource's create, which reads what it made.
func (p *provider) createSecret(a attributes) attributes {
	p.t.Helper()
	made := p.do("CreateSecret", params{
		"SecretName": a["secret_name"], "SecretData": a["secret_data"], "VersionId": a["version_id"],
		"SecretDataType": cmp.Or(a["secret_data_type"], "text"), "Description": a["description"],
		"EncryptionKeyId": a["encryption_key_id"], "DKMSInstanceId": a["dkms_instance_id"], "SecretType": a["secret_type"],
		"ExtendedConfig": a["extended_config"], "EnableAutomaticRotation": a["enable_automatic_rotation"],
		"RotationInterval": a["rotation_interval"], "Tags": a.tagList(),
	})
	if a["version_stages"] != "" {
		p.putSecret(a)
	}
	return p.readSecret(text(made, "SecretName"))
}

func (p *provider) putSecret(a attributes) {
	p.t.Helper()
	form := params{
		"SecretName": a["secret_name"], "SecretData": a["secret_data"], "VersionId": a["version_id"],
		"SecretDataType": a["secret_data_type"],
	}
	if a["version_stages"] != "" {
		form["VersionStages"] = compactJSON(strings.Split(a["version_stages"], " "))
	}
	p.do("PutSecretValue", form)
}

// readSecret is a refresh, and all that an import does. It returns nil when the secret is gone.
func (p *provider) readSecret(id string) attributes {
	p.t.Helper()
	described, fault := p.try("DescribeSecret", params{"SecretName": id})
	if fault == "Forbidden.ResourceNotFound" {
		return nil
	}
	if fault != "" {
		p.t.Fatalf("DescribeSecret = %s", fault)
	}
	value := p.do("GetSecretValue", params{"SecretName": id})
	var stages []string
	for _, stage := range value["VersionStages"].(map[string]any)["VersionStage"].([]any) {
		stages = append(stages, stage.(string))
	}
	slices.Sort(stages)
	found := attributes{
		"id": id, "secret_name": id, "arn": text(described, "Arn"), "description": text(described, "Description"),
		"encryption_key_id": text(described, "EncryptionKeyId"), "planned_delete_time": text(described, "PlannedDeleteTime"),
		"dkms_instance_id": text(described, "DKMSInstanceId"), "secret_type": text(described, "SecretType"),
		"extended_config": text(described, "ExtendedConfig"), "rotation_interval": text(described, "RotationInterval"),
		"enable_automatic_rotation": map[bool]string{true: "true", false: ""}[text(described, "AutomaticRotation") == "Enabled"],
		"secret_data":               text(value, "SecretData"), "secret_data_type": text(value, "SecretDataType"),
		"version_id": text(value, "VersionId"), "version_stages": strings.Join(stages, " "),
	}
	p.readTags("secret", id, found)
	return found
}

// updateSecret is the resource's update: a call for each part that differs.
func (p *provider) updateSecret(old, next attributes) attributes {
	p.t.Helper()
	id := old["secret_name"]
	changed := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return old[name] != next[name] })
	}
	if changed("secret_data", "version_id", "secret_data_type", "version_stages") {
		p.putSecret(next)
	}
	if changed("description") {
		p.do("UpdateSecret", params{"SecretName": id, "Description": next["description"]})
	}
	if changed("enable_automatic_rotation", "rotation_interval") {
		p.do("UpdateSecretRotationPolicy", params{
			"SecretName": id, "EnableAutomaticRotation": cmp.Or(next["enable_automatic_rotation"], "false"), "RotationInterval": next["rotation_interval"],
		})
	}
	p.setTags("secret", id, old, next)
	return p.readSecret(id)
}

// deleteSecret sends both parameters, as the schema has a default for each.
func (p *provider) deleteSecret(a attributes) {
	p.t.Helper()
	p.do("DeleteSecret", params{
		"SecretName": a["secret_name"], "ForceDeleteWithoutRecovery": cmp.Or(a["force_delete_without_recovery"], "false"),
		"RecoveryWindowInDays": cmp.Or(a["recovery_window_in_days"], "30"),
	})
}

// deletionArguments are those that are not read back: they only say how to delete.
var deletionArguments = []string{"force_delete_without_recovery", "recovery_window_in_days"}

func TestTerraformSecret(t *testing.T) {
	t.Parallel()
	e := New(Config{})
	p := newProvider(t, e)
	key := text(p.do("CreateKey", nil)["KeyMetadata"].(map[string]any), "KeyId")
	p.calls = nil
	asked := attributes{
		"secret_name": "secret-foo", "description": "from terraform", "secret_data": "Secret data.", "version_id": "000000000001",
		"force_delete_without_recovery": "true",
	}
	const refresh = "DescribeSecret GetSecretValue ListTagResources"
	read := asked.without(deletionArguments...)

	// The resource of the document, as it is.
	p.unchanged(read, p.createSecret(asked))
	p.called("CreateSecret " + refresh)
	p.deleteSecret(asked)
	if found := p.readSecret("secret-foo"); found != nil {
		t.Errorf("after a forced deletion: %v, want nothing", found)
	}
	p.calls = nil

	// All arguments of a generic secret.
	read = read.with("secret_data_type", "binary", "version_stages", "ACSCurrent UStage1", "encryption_key_id", key,
		"dkms_instance_id", "kst-hzz1", "secret_type", "Generic", "tags.Created", "TF", "tags.For", "acceptance-test")
	found := p.createSecret(read)
	p.unchanged(read, found)
	p.called("CreateSecret PutSecretValue " + refresh)
	if got, want := found["arn"], "acs:kms:cn-hangzhou:1000000000000001:secret/secret-foo"; got != want {
		t.Errorf("arn = %s, want %s", got, want)
	}
	p.unchanged(found, p.readSecret(found["id"])) // import
	p.calls = nil

	// A new value with labels, another description, other tags.
	next := read.with("secret_data", "Secret data 2.", "version_id", "v2", "secret_data_type", "text", "version_stages", "ACSCurrent ACSNext",
		"description", "changed", "tags.Created", "TF-update").without("tags.For").with("tags.New", "1")
	p.unchanged(next, p.updateSecret(read, next))
	p.called("PutSecretValue UpdateSecret UntagResources TagResources " + refresh)

	// The same once more changes nothing, nor does a put that is repeated.
	p.putSecret(next)
	p.unchanged(next, p.updateSecret(next, next))
	p.called("PutSecretValue " + refresh)

	// Only labels: the same version with the same value.
	last := next.with("version_stages", "ACSCurrent UStage2")
	p.unchanged(last.with("version_stages", "ACSCurrent ACSNext UStage2"), p.updateSecret(next, last))

	p.deleteSecret(next.with("recovery_window_in_days", "7"))
	if described, fault := p.try("DescribeSecret", params{"SecretName": "secret-foo"}); fault != "" || described["PlannedDeleteTime"] == "" {
		t.Errorf("in the window: %s %v, want a planned_delete_time", fault, described)
	}
}

// A managed secret: what KMS makes of the value is not compared, as the document says.
func TestTerraformManagedSecret(t *testing.T) {
	t.Parallel()
	p := newProvider(t, New(Config{}))
	asked := attributes{
		"secret_name": "db", "secret_type": "Rds", "version_id": "v1", "enable_automatic_rotation": "true", "rotation_interval": "604800s",
		"secret_data":     `{"Accounts":[{"AccountName":"app","AccountPassword":"` + canary + `"}]}`,
		"extended_config": `{"SecretSubType": "SingleUser", "DBInstanceId": "rm-1"}`,
		"tags.a":          "b",
	}
	found := p.createSecret(asked)
	p.unchanged(asked.without("secret_data"), found)
	if !json.Valid([]byte(found["secret_data"])) || !strings.Contains(found["secret_data"], "AccountPassword") {
		t.Error("the value is not that of an account")
	}
	next := asked.with("rotation_interval", "864000s")
	p.calls = nil
	p.unchanged(next.without("secret_data"), p.updateSecret(asked, next))
	p.called("UpdateSecretRotationPolicy DescribeSecret GetSecretValue ListTagResources")
	off := next.with("enable_automatic_rotation", "").without("rotation_interval")
	p.unchanged(off.without("secret_data"), p.updateSecret(next, off))
}
