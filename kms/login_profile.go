package kms

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"

	"gopkg.in/ini.v1"

	"github.com/kmsrun/kmsrun/config"
)

// stored is one profile of the aliyun CLI's file, or of the SDKs' in the same words.
type stored struct {
	Name            string `json:"name"`
	Mode            string `json:"mode"`
	AccessKeyID     string `json:"access_key_id"`
	AccessKeySecret string `json:"access_key_secret"`
	Token           string `json:"sts_token"`
	RoleARN         string `json:"ram_role_arn"`
	RoleName        string `json:"ram_role_name"`
	SessionName     string `json:"ram_session_name"`
	ExternalID      string `json:"external_id"`
	SourceProfile   string `json:"source_profile"`
	OIDCProviderARN string `json:"oidc_provider_arn"`
	OIDCTokenFile   string `json:"oidc_token_file"`
	URI             string `json:"credentials_uri"`
}

// profiles is a whole file.
type profileFile struct {
	Current  string   `json:"current"`
	Profiles []stored `json:"profiles"`
	path     string
	named    bool // Current was chosen by a person
}

// errNoProfile says that no file has the profile, nor a default one. A profile that is
// there, or that a file names, and does not work is another error: to go on to the
// next way of logging in would be another identity.
var errNoProfile = errors.New("no profile")

// profile logs in as the aliyun CLI or the SDKs would by their files. The files are
// read anew at each refresh, and never written.
func (l *logins) profile(ctx context.Context, a config.Auth) (Credentials, *Error) {
	for _, read := range []func(context.Context) (profileFile, error){l.cliFile, l.sdkFile} {
		file, err := read(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if e, ok := errors.AsType[*Error](err); ok && e.Outage() {
			return Credentials{}, e
		}
		if err != nil { // its text may quote the file
			return Credentials{}, noCredentials("can't read "+file.path, "check the file and its permissions")
		}
		name := a.Profile
		if name == "" {
			name = l.lookup.either("PROFILE")
		}
		if name == "" {
			name = file.Current
		}
		keys, failed := l.fromFile(ctx, a, file, name, nil)
		if failed != nil && errors.Is(failed, errNoProfile) {
			continue
		}
		return keys, failed
	}
	e := noCredentials("no such profile in ~/.aliyun/config.json or ~/.alibabacloud/credentials", "check auth's profile and ALIBABA_CLOUD_PROFILE")
	e.cause = errNoProfile
	return Credentials{}, e
}

// fromFile logs in by one profile of a file; seen are those that lead to it.
func (l *logins) fromFile(ctx context.Context, a config.Auth, file profileFile, name string, seen []string) (Credentials, *Error) {
	p, ok := file.find(name)
	if !ok || len(seen) > len(file.Profiles) {
		e := noCredentials("no profile "+name+" in "+file.path, "check auth's profile and ALIBABA_CLOUD_PROFILE")
		if chosen := file.named && name == file.Current; len(seen) == 0 && !chosen {
			e.cause = errNoProfile
		}
		return Credentials{}, e
	}
	b := config.Auth{
		RoleARN: p.RoleARN, RoleName: p.RoleName, ExternalID: p.ExternalID, SessionName: p.SessionName,
		OIDCProviderARN: p.OIDCProviderARN, OIDCTokenFile: p.OIDCTokenFile, URI: p.URI,
		STSEndpoint: a.STSEndpoint, MetadataEndpoint: a.MetadataEndpoint,
	}
	if a.SessionName != "" {
		b.SessionName = a.SessionName
	}
	where := "profile " + name + " of " + file.path
	switch p.Mode {
	case "AK", "StsToken", "RamRoleArn":
		keys, err := p.keys(where)
		if err == nil && p.Mode == "RamRoleArn" {
			return l.assumeRole(ctx, b, keys)
		}
		return keys, err
	case "EcsRamRole":
		return l.ecsRole(ctx, b)
	case "OIDC":
		return l.oidc(ctx, b)
	case "CredentialsURI":
		return l.uri(ctx, b)
	case "ChainableRamRoleArn":
		keys, err := l.fromFile(ctx, a, file, p.SourceProfile, append(seen, name))
		if err != nil {
			err.cause = nil // the role is set up, whatever its source is
			return keys, err
		}
		return l.assumeRole(ctx, b, keys)
	default: // External runs programs, CloudSSO and OAuth write to the file
		return Credentials{}, noCredentials(where+" has a mode that kmsrun does not know",
			"want AK, StsToken, RamRoleArn, ChainableRamRoleArn, EcsRamRole, OIDC or CredentialsURI")
	}
}

func (f profileFile) find(name string) (stored, bool) {
	for _, p := range f.Profiles {
		if p.Name == name {
			return p, true
		}
	}
	return stored{}, false
}

func (p stored) keys(where string) (Credentials, *Error) {
	if p.AccessKeyID == "" || p.AccessKeySecret == "" || p.Mode == "StsToken" && p.Token == "" {
		e := noCredentials(where+" holds no whole key", "run aliyun configure")
		if p.Mode == "AK" && p.AccessKeyID+p.AccessKeySecret == "" {
			e.cause = errNoProfile // the CLI writes an empty one at its first run
		}
		return Credentials{}, e
	}
	keys := AccessKey(p.AccessKeyID, p.AccessKeySecret)
	if p.Token != "" && p.Mode != "AK" { // the CLI leaves an old one there
		keys = stsToken(p.AccessKeyID, p.AccessKeySecret, p.Token)
	}
	keys.what, keys.from, keys.reread = where, [3]string{where, where, where}, rereadFiles
	return keys, nil
}

func (l *logins) home(name string) string {
	home, _ := l.lookup("HOME")
	if home == "" {
		return ""
	}
	return filepath.Join(home, name)
}

// cliFile reads ~/.aliyun/config.json.
func (l *logins) cliFile(ctx context.Context) (profileFile, error) {
	file := profileFile{path: l.lookup.either("CONFIG_FILE")}
	if file.path == "" {
		file.path = l.home(".aliyun/config.json")
	}
	if file.path == "" {
		return file, fs.ErrNotExist
	}
	text, unread := l.client.files.read(ctx, file.path)
	if unread != nil {
		return file, unread
	}
	err := json.Unmarshal(text.text, &file)
	file.named = file.Current != "" && len(file.Profiles) > 0
	return file, err
}

// iniModes are the SDKs' names of the CLI's modes.
var iniModes = map[string]string{
	"access_key": "AK", "sts": "StsToken", "ram_role_arn": "RamRoleArn", "ecs_ram_role": "EcsRamRole", "oidc_role_arn": "OIDC", "credentials_uri": "CredentialsURI",
}

// sdkFile reads ~/.alibabacloud/credentials.
func (l *logins) sdkFile(ctx context.Context) (profileFile, error) {
	file := profileFile{Current: "default", path: l.lookup.either("CREDENTIALS_FILE")}
	if file.path == "" {
		file.path = l.home(".alibabacloud/credentials")
	}
	if file.path == "" {
		return file, fs.ErrNotExist
	}
	text, unread := l.client.files.read(ctx, file.path)
	if unread != nil {
		return file, unread
	}
	// A section is a profile: no dot in its name makes it inherit from another, and no
	// %(name)s is another's value.
	parsed, err := ini.LoadSources(ini.LoadOptions{ChildSectionDelimiter: "\x00"}, text.text)
	if err != nil {
		return file, err
	}
	for _, section := range parsed.Sections() {
		key := func(names ...string) string {
			for _, name := range names {
				if value := section.Key(name).Value(); value != "" {
					return value
				}
			}
			return ""
		}
		file.Profiles = append(file.Profiles, stored{
			Name: section.Name(), Mode: iniModes[key("type")],
			AccessKeyID: key("access_key_id"), AccessKeySecret: key("access_key_secret"), Token: key("security_token", "sts_token"),
			RoleARN: key("role_arn"), RoleName: key("role_name"), SessionName: key("role_session_name"), ExternalID: key("external_id"),
			OIDCProviderARN: key("oidc_provider_arn"), OIDCTokenFile: key("oidc_token_file_path", "oidc_token_file"), URI: key("credentials_uri"),
		})
	}
	return file, nil
}
