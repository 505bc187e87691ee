# A key and a secret in the emulator instead of a cloud account:
#
#   kmsrun emulator --listen 127.0.0.1:8810 --state kms.state
#   terraform init && terraform apply
#
# The state file keeps the emulator's side over restarts, as Terraform keeps its own.

terraform {
  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = "1.223.0"
    }
  }
}

provider "alicloud" {
  region                 = "cn-hangzhou"
  access_key             = "emulator"
  secret_key             = "emulator-secret"
  account_id             = "1000000000000001"
  protocol               = "HTTP"
  skip_region_validation = true

  endpoints {
    kms = "127.0.0.1:8810"
    sts = "127.0.0.1:8810"
  }
}

# The emulator has no KMS instances, and takes any id for one.
resource "alicloud_kms_key" "default" {
  protection_level          = "SOFTWARE"
  description               = "key description example"
  key_spec                  = "Aliyun_AES_256"
  key_usage                 = "ENCRYPT/DECRYPT"
  rotation_interval         = "604800s"
  dkms_instance_id          = "kst-hzz0123456789abcdef01"
  origin                    = "Aliyun_KMS"
  policy                    = "{\"Version\":\"1\",\"Statement\":[{\"Action\":[\"kms:*\"],\"Resource\":[\"*\"],\"Effect\":\"Allow\",\"Principal\":{\"RAM\":[\"acs:ram::1192853035118460:*\"]},\"Sid\":\"kms default key policy\"}]}"
  enable_automatic_rotation = true
  automatic_rotation        = "Enabled"
  status                    = "Enabled"
}

resource "alicloud_kms_secret" "default" {
  secret_name                   = "secret-foo"
  description                   = "from terraform"
  secret_data                   = "Secret data."
  version_id                    = "000000000001"
  force_delete_without_recovery = true
}
