package emulator

import (
	"slices"
	"testing"
)

const seedPolicy = `{"Version":"1","Statement":[{"Action":["kms:*"],"Resource":["*"],"Effect":"Allow","Principal":{"RAM":["acs:ram::1192853035118460:*"]},"Sid":"kms default key policy"}]}`

// createKey is the resource's create: it makes the key, looks whether it is in the state asked for, and brings it there.
func (p *provider) createKey(a attributes) attributes {
	p.t.Helper()
	made := p.do("CreateKey", params{
		"Description": a["description"], "KeyUsage": a["key_usage"], "Origin": a["origin"], "ProtectionLevel": a["protection_level"],
		"RotationInterval": a["rotation_interval"], "KeySpec": a["key_spec"], "Policy": a["policy"],
		"EnableAutomaticRotation": a["enable_automatic_rotation"], "DKMSInstanceId": a["dkms_instance_id"], "Tags": a.tagList(),
	})
	id := text(made["KeyMetadata"].(map[string]any), "KeyId")
	old := a.with("status", "", "enable_deletion_protection", "")
	return p.updateKey(id, old, a)
}

// readKey is a refresh, and all that an import does. It returns nil when the key is gone, or is to go.
func (p *provider) readKey(id string) attributes {
	p.t.Helper()
	reply, fault := p.try("DescribeKey", params{"KeyId": id})
	if fault == "Forbidden.KeyNotFound" {
		return nil
	}
	if fault != "" {
		p.t.Fatalf("DescribeKey = %s", fault)
	}
	k := reply["KeyMetadata"].(map[string]any)
	if text(k, "KeyState") == "PendingDeletion" {
		return nil
	}
	found := attributes{
		"id": text(k, "KeyId"), "automatic_rotation": text(k, "AutomaticRotation"), "description": text(k, "Description"),
		"dkms_instance_id": text(k, "DKMSInstanceId"), "key_spec": text(k, "KeySpec"), "key_usage": text(k, "KeyUsage"),
		"origin": text(k, "Origin"), "protection_level": text(k, "ProtectionLevel"), "rotation_interval": text(k, "RotationInterval"),
		"status": text(k, "KeyState"), "deletion_protection_description": text(k, "DeletionProtectionDescription"),
		"enable_deletion_protection": map[string]string{"Enabled": "true", "Disabled": ""}[text(k, "DeletionProtection")],
		"enable_automatic_rotation":  map[string]string{"Enabled": "true", "Suspended": "true", "Disabled": ""}[text(k, "AutomaticRotation")],
	}
	if found["dkms_instance_id"] != "" {
		found["policy"] = text(p.do("GetKeyPolicy", params{"KeyId": id, "PolicyName": "default"}), "Policy")
	}
	p.readTags("key", id, found)
	return found
}

func (p *provider) updateKey(id string, old, next attributes) attributes {
	p.t.Helper()
	changed := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return old[name] != next[name] })
	}
	if changed("status") {
		state := text(p.do("DescribeKey", params{"KeyId": id})["KeyMetadata"].(map[string]any), "KeyState")
		action := map[string]string{"Enabled": "EnableKey", "Disabled": "DisableKey"}[next["status"]]
		if state != next["status"] && action != "" {
			p.do(action, params{"KeyId": id})
		}
	}
	if changed("description") {
		p.do("UpdateKeyDescription", params{"KeyId": id, "Description": next["description"]})
	}
	if changed("enable_automatic_rotation", "rotation_interval") {
		on := map[string]string{"true": "true", "": "false"}[next["enable_automatic_rotation"]]
		p.do("UpdateRotationPolicy", params{"KeyId": id, "EnableAutomaticRotation": on, "RotationInterval": next["rotation_interval"]})
	}
	if changed("enable_deletion_protection", "deletion_protection_description") {
		on := map[string]string{"true": "true", "": "false"}[next["enable_deletion_protection"]]
		p.do("SetDeletionProtection", params{"KeyId": id, "EnableDeletionProtection": on, "DeletionProtectionDescription": next["deletion_protection_description"]})
	}
	if changed("policy") {
		p.do("SetKeyPolicy", params{"KeyId": id, "Policy": next["policy"], "PolicyName": next["policy_name"]})
	}
	p.setTags("key", id, old, next)
	return p.readKey(id)
}

// The resource of the document, through its whole life.
func TestTerraformKey(t *testing.T) {
	t.Parallel()
	p := newProvider(t, New(Config{}))
	asked := attributes{
		"protection_level": "SOFTWARE", "description": "key description example", "key_spec": "Aliyun_AES_256", "key_usage": "ENCRYPT/DECRYPT",
		"rotation_interval": "604800s", "dkms_instance_id": "kst-hzz0123456789abcdef01", "origin": "Aliyun_KMS", "policy": seedPolicy,
		"enable_automatic_rotation": "true", "automatic_rotation": "Enabled", "status": "Enabled",
	}
	found := p.createKey(asked)
	p.unchanged(asked, found)
	p.called("CreateKey DescribeKey DescribeKey GetKeyPolicy ListTagResources")
	id := found["id"]
	p.unchanged(found, p.readKey(id)) // import
	p.calls = nil

	now := asked
	step := func(called string, next attributes) {
		t.Helper()
		p.unchanged(next, p.updateKey(id, now, next))
		p.called(called + " DescribeKey GetKeyPolicy ListTagResources")
		now = next
	}
	step("DescribeKey DisableKey", now.with("status", "Disabled", "automatic_rotation", "Suspended"))
	step("DescribeKey EnableKey", now.with("status", "Enabled", "automatic_rotation", "Enabled"))
	step("UpdateKeyDescription", now.with("description", "other"))
	step("UpdateRotationPolicy", now.with("rotation_interval", "864000s"))
	step("UpdateRotationPolicy", now.with("enable_automatic_rotation", "", "automatic_rotation", "Disabled", "rotation_interval", ""))
	step("SetDeletionProtection", now.with("enable_deletion_protection", "true", "deletion_protection_description", "in use"))
	step("SetKeyPolicy", now.with("policy", `{"Version":"1","Statement":[{"Effect":"Deny","Principal":{"RAM":"*"},"Action":"kms:Decrypt","Resource":"*"}]}`))
	step("TagResources", now.with("tags.Created", "TF", "tags.For", "Test"))
	step("UntagResources TagResources", now.with("tags.Created", "TF-update").without("tags.For"))

	if _, fault := p.try("ScheduleKeyDeletion", params{"KeyId": id, "PendingWindowInDays": "7"}); fault == "" {
		t.Error("a protected key was deleted")
	}
	p.calls = nil
	step("SetDeletionProtection", now.with("enable_deletion_protection", "", "deletion_protection_description", ""))
	p.do("ScheduleKeyDeletion", params{"KeyId": id, "PendingWindowInDays": "366"})
	if found := p.readKey(id); found != nil {
		t.Errorf("after the deletion: %v, want nothing", found)
	}
}

// Every specification, use, origin and level comes back as it went in.
func TestTerraformKeyKinds(t *testing.T) {
	t.Parallel()
	p := newProvider(t, New(Config{}))
	for _, asked := range []attributes{
		{"status": "Enabled", "automatic_rotation": "Disabled", "protection_level": "SOFTWARE", "key_spec": "Aliyun_AES_256", "origin": "Aliyun_KMS"},
		{"key_spec": "Aliyun_AES_192"},
		{"key_spec": "Aliyun_AES_128", "protection_level": "HSM"},
		{"key_spec": "Aliyun_SM4", "protection_level": "HSM", "tags.a": "b"},
		{"key_spec": "RSA_2048", "key_usage": "SIGN/VERIFY"},
		{"key_spec": "RSA_3072", "key_usage": "ENCRYPT/DECRYPT"},
		{"key_spec": "EC_P256", "key_usage": "SIGN/VERIFY"},
		{"key_spec": "EC_P256K", "key_usage": "SIGN/VERIFY"},
		{"key_spec": "EC_SM2", "key_usage": "ENCRYPT/DECRYPT", "dkms_instance_id": "kst-1"},
		{"origin": "EXTERNAL", "status": "PendingImport"},
		{"status": "Disabled"},
	} {
		found := p.createKey(asked)
		p.unchanged(asked, found)
		p.do("ScheduleKeyDeletion", params{"KeyId": found["id"], "PendingWindowInDays": "7"})
	}
}

// The provider of the document itself, 1.223.0, makes other calls than later ones: the id goes into the query while the rest is
// in the form, rotation is turned on again without an interval, and tags and policy are read by other actions.
func TestTerraformKeyOfTheDocument(t *testing.T) {
	t.Parallel()
	p := newProvider(t, New(Config{}))
	made := p.do("CreateKey", params{
		"ProtectionLevel": "SOFTWARE", "Description": "key description example", "KeySpec": "Aliyun_AES_256", "KeyUsage": "ENCRYPT/DECRYPT",
		"RotationInterval": "604800s", "DKMSInstanceId": "kst-hzz0123456789abcdef01", "Origin": "Aliyun_KMS", "Policy": seedPolicy,
		"EnableAutomaticRotation": "true", "Tags.Created": "TF", "Tags.For": "Test",
	})
	id := text(made["KeyMetadata"].(map[string]any), "KeyId")
	p.query = []string{"KeyId"}
	p.do("UpdateRotationPolicy", params{"KeyId": id, "EnableAutomaticRotation": "true"})
	p.do("UpdateKeyDescription", params{"KeyId": id, "Description": "ü ~*+ &="})
	p.do("DisableKey", params{"KeyId": id})
	k := p.do("DescribeKey", params{"KeyId": id})["KeyMetadata"].(map[string]any)
	for name, want := range map[string]string{
		"AutomaticRotation": "Suspended", "RotationInterval": "604800s", "Description": "ü ~*+ &=", "KeyState": "Disabled",
		"DKMSInstanceId": "kst-hzz0123456789abcdef01", "KeySpec": "Aliyun_AES_256", "KeyUsage": "ENCRYPT/DECRYPT", "Origin": "Aliyun_KMS",
	} {
		if got := text(k, name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	tags := p.do("ListResourceTags", params{"KeyId": id})["Tags"].(map[string]any)["Tag"].([]any)
	if len(tags) != 2 {
		t.Errorf("%d tags, want 2", len(tags))
	}
	if got := text(p.do("GetKeyPolicy", params{"KeyId": id}), "Policy"); got != seedPolicy {
		t.Errorf("policy = %s, want %s", got, seedPolicy)
	}
	p.do("ScheduleKeyDeletion", params{"KeyId": id, "PendingWindowInDays": "7"})
	p.do("CancelKeyDeletion", params{"KeyId": id})
	if k := p.do("DescribeKey", params{"KeyId": id})["KeyMetadata"].(map[string]any); text(k, "KeyState") != "Enabled" {
		t.Errorf("after CancelKeyDeletion: %s, want Enabled", text(k, "KeyState"))
	}
}
