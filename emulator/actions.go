package emulator

import "slices"

// action is one API: what the gateway knows of its parameters, and what it does. Parameters that are in no list are
// unknown to the API too, which drops them.
type action struct {
	required []string
	optional []string
	unbuilt  []string // known to the API, not to us: refused, since ignoring them would change what the caller gets
	run      func(call) (any, error)
}

// call is a request that has been believed.
type call struct {
	store     *store
	requestID string
	params    params
}

// actions are the APIs by name.
var actions = map[string]action{
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
	"CreateKey": {
		optional: []string{
			"DKMSInstanceId", "Description", "EnableAutomaticRotation", "KeySpec", "KeyUsage", "Origin",
			"ProtectionLevel", "RotationInterval", "Tags",
		},
		unbuilt: []string{"KeyStorageMechanism", "Policy"},
		run:     createKey,
	},
	"DescribeKey": {
		required: []string{"KeyId"},
		run:      describeKey,
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

// check is the gateway's look at the parameters.
func (a action) check(p params) error {
	for _, name := range a.required {
		if p[name] == "" {
			return missing(name)
		}
	}
	for _, name := range a.unbuilt {
		if p[name] != "" {
			return invalid(name)
		}
	}
	return nil
}

// page cuts one page, counted from 1, out of all.
func page[T any](all []T, number, size int) []T {
	for chunk := range slices.Chunk(all, size) {
		if number--; number == 0 {
			return chunk
		}
	}
	return nil
}

// paging reads the parameters of a page.
func (p params) paging(defaultSize int) (number, size int, err error) {
	if number, err = p.integer("PageNumber", 1, 1, 1<<31-1); err != nil {
		return 0, 0, err
	}
	size, err = p.integer("PageSize", defaultSize, 1, 100)
	return number, size, err
}
