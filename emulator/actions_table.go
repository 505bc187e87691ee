package emulator

// secretActions are the APIs about secrets, and those about nothing, by name.
var secretActions = map[string]action{
	"CreateSecret": {
		required: []string{"SecretName", "SecretData", "VersionId"},
		optional: []string{
			"DKMSInstanceId", "Description", "EnableAutomaticRotation", "EncryptionKeyId", "ExtendedConfig", "Policy",
			"RotationInterval", "SecretDataType", "SecretType", "Tags",
		},
		run: createSecret,
	},
	"PutSecretValue": {
		required: []string{"SecretName", "SecretData", "VersionId"},
		optional: []string{"SecretDataType", "VersionStages"},
		run:      putSecretValue,
	},
	"GetSecretValue": {
		required: []string{"SecretName"},
		optional: []string{"VersionId", "VersionStage", "FetchExtendedConfig", "DryRun"},
		run:      getSecretValue,
	},
	"DescribeSecret": {
		required: []string{"SecretName"},
		optional: []string{"FetchTags"},
		run:      describeSecret,
	},
	"ListSecrets": {
		optional: []string{"FetchTags", "Filters", "PageNumber", "PageSize"},
		run:      listSecrets,
	},
	"ListSecretVersionIds": {
		required: []string{"SecretName"},
		optional: []string{"IncludeDeprecated", "PageNumber", "PageSize"},
		run:      listSecretVersionIDs,
	},
	"UpdateSecretVersionStage": {
		required: []string{"SecretName", "VersionStage"},
		optional: []string{"MoveToVersion", "RemoveFromVersion"},
		run:      updateSecretVersionStage,
	},
	"UpdateSecret": {
		required: []string{"SecretName"},
		optional: []string{"Description", "ExtendedConfig.CustomData"},
		run:      updateSecret,
	},
	"UpdateSecretRotationPolicy": {
		required: []string{"SecretName", "EnableAutomaticRotation"},
		optional: []string{"RotationInterval"},
		run:      updateSecretRotationPolicy,
	},
	"RotateSecret": {
		required: []string{"SecretName", "VersionId"},
		run:      rotateSecret,
	},
	"DeleteSecret": {
		required: []string{"SecretName"},
		optional: []string{"ForceDeleteWithoutRecovery", "RecoveryWindowInDays"},
		run:      deleteSecret,
	},
	"RestoreSecret": {
		required: []string{"SecretName"},
		run:      restoreSecret,
	},
	"GetRandomPassword": {
		optional: []string{
			"ExcludeCharacters", "ExcludeLowercase", "ExcludeNumbers", "ExcludePunctuation", "ExcludeUppercase",
			"PasswordLength", "RequireEachIncludedType",
		},
		run: getRandomPassword,
	},
	"SetSecretPolicy": {
		required: []string{"SecretName", "Policy"},
		optional: []string{"PolicyName"},
		run:      setSecretPolicy,
	},
	"GetSecretPolicy": {
		required: []string{"SecretName"},
		optional: []string{"PolicyName"},
		run:      getSecretPolicy,
	},
}

// keyActions are those about keys.
var keyActions = map[string]action{
	"CreateKey": {
		optional: []string{"DKMSInstanceId", "Description", "EnableAutomaticRotation", "KeySpec", "KeyUsage", "Origin", "Policy", "ProtectionLevel", "RotationInterval", "Tags"},
		unbuilt:  []string{"KeyStorageMechanism"},
		run:      createKey,
	},
	"DescribeKey": {
		required: []string{"KeyId"},
		run:      describeKey,
	},
	"ListKeys": {
		optional: []string{"Filters", "PageNumber", "PageSize"},
		run:      listKeys,
	},
	"UpdateKeyDescription": {
		required: []string{"KeyId"},
		optional: []string{"Description"},
		run:      updateKeyDescription,
	},
	"EnableKey": {
		required: []string{"KeyId"},
		run:      enableKey,
	},
	"DisableKey": {
		required: []string{"KeyId"},
		run:      disableKey,
	},
	"UpdateRotationPolicy": {
		required: []string{"KeyId", "EnableAutomaticRotation"},
		optional: []string{"RotationInterval"},
		run:      updateRotationPolicy,
	},
	"ScheduleKeyDeletion": {
		required: []string{"KeyId", "PendingWindowInDays"},
		run:      scheduleKeyDeletion,
	},
	"CancelKeyDeletion": {
		required: []string{"KeyId"},
		run:      cancelKeyDeletion,
	},
	"SetDeletionProtection": {
		required: []string{"EnableDeletionProtection"},
		optional: []string{"DeletionProtectionDescription", "KeyId", "ProtectedResourceArn"},
		run:      setDeletionProtection,
	},
	"CreateKeyVersion": {
		required: []string{"KeyId"},
		run:      createKeyVersion,
	},
	"ListKeyVersions": {
		required: []string{"KeyId"},
		optional: []string{"PageNumber", "PageSize"},
		run:      listKeyVersions,
	},
	"SetKeyPolicy": {
		required: []string{"KeyId", "Policy"},
		optional: []string{"PolicyName"},
		run:      setKeyPolicy,
	},
	"GetKeyPolicy": {
		required: []string{"KeyId"},
		optional: []string{"PolicyName"},
		run:      getKeyPolicy,
	},
	"CreateAlias": {
		required: []string{"KeyId", "AliasName"},
		run:      createAlias,
	},
	"UpdateAlias": {
		required: []string{"KeyId", "AliasName"},
		run:      updateAlias,
	},
	"DeleteAlias": {
		required: []string{"AliasName"},
		run:      deleteAlias,
	},
	"ListAliases": {
		optional: []string{"PageNumber", "PageSize"},
		run:      listAliases,
	},
	"Encrypt": {
		required: []string{"KeyId", "Plaintext"},
		optional: []string{"DryRun", "EncryptionContext"},
		run:      encrypt,
	},
	"Decrypt": {
		required: []string{"CiphertextBlob"},
		optional: []string{"DryRun", "EncryptionContext"},
		run:      decrypt,
	},
	"GenerateDataKey": {
		required: []string{"KeyId"},
		optional: []string{"DryRun", "EncryptionContext", "KeySpec", "NumberOfBytes"},
		run:      generateDataKey,
	},
	"GenerateDataKeyWithoutPlaintext": {
		required: []string{"KeyId"},
		optional: []string{"DryRun", "EncryptionContext", "KeySpec", "NumberOfBytes"},
		run:      generateDataKeyWithoutPlaintext,
	},
}

// tagActions are those about tags. Lists have a parameter for each item: ResourceId.1, Tag.1.Key.
var tagActions = map[string]action{
	"TagResource": {
		required: []string{"Tags"},
		optional: []string{"CertificateId", "KeyId", "SecretName"},
		run:      tagResource,
	},
	"UntagResource": {
		required: []string{"TagKeys"},
		optional: []string{"CertificateId", "KeyId", "SecretName"},
		run:      untagResource,
	},
	"ListResourceTags": {
		required: []string{"KeyId"},
		run:      listResourceTags,
	},
	"TagResources": {
		required: []string{"RegionId", "ResourceType"},
		optional: []string{"ResourceId", "Tag"},
		run:      tagResources,
	},
	"UntagResources": {
		required: []string{"RegionId", "ResourceType"},
		optional: []string{"All", "ResourceId", "TagKey"},
		run:      untagResources,
	},
	"ListTagResources": {
		required: []string{"RegionId", "ResourceType"},
		optional: []string{"NextToken", "ResourceId", "Tag"},
		run:      listTagResources,
	},
}
