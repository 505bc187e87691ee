package config

import (
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// DefaultAuth is the profile of references that name none.
const DefaultAuth = "default"

// Auth is one way of logging in. It holds names and places only: the keys
// themselves are in files or in the environment.
type Auth struct {
	Type                string `yaml:"type"`               // chain | access_key | sts | oidc | ecs_role | profile | uri | assume_role
	AccessKeyIDFile     string `yaml:"access_key_id_file"` // read again every second
	AccessKeySecretFile string `yaml:"access_key_secret_file"`
	SecurityTokenFile   string `yaml:"security_token_file"`
	RoleARN             string `yaml:"role_arn"`          // the role to take on
	Source              string `yaml:"source"`            // the profile that takes it on
	ExternalID          string `yaml:"external_id"`       // that the role's trust asks for
	SessionName         string `yaml:"session_name"`      // in audit logs
	RoleName            string `yaml:"role_name"`         // of the ECS instance
	Profile             string `yaml:"profile"`           // in the aliyun CLI's or the SDKs' file
	URI                 string `yaml:"uri"`               // that hands out credentials
	OIDCProviderARN     string `yaml:"oidc_provider_arn"` // of the cluster
	OIDCTokenFile       string `yaml:"oidc_token_file"`   // read anew at each refresh
	STSEndpoint         string `yaml:"sts_endpoint"`      // https, or http to loopback
	MetadataEndpoint    string `yaml:"metadata_endpoint"` // in the place of 100.100.100.200; loopback only
}

// authKeys lists, for each type, the keys that it takes.
var authKeys = map[string][]string{
	"chain":       {"role_name", "profile", "session_name", "sts_endpoint", "metadata_endpoint"},
	"access_key":  {"access_key_id_file", "access_key_secret_file"},
	"sts":         {"access_key_id_file", "access_key_secret_file", "security_token_file"},
	"oidc":        {"role_arn", "oidc_provider_arn", "oidc_token_file", "session_name", "sts_endpoint"},
	"ecs_role":    {"role_name", "metadata_endpoint"},
	"profile":     {"profile", "session_name", "sts_endpoint", "metadata_endpoint"},
	"uri":         {"uri"},
	"assume_role": {"role_arn", "source", "external_id", "session_name", "sts_endpoint"},
}

var (
	roleARN     = regexp.MustCompile(`^acs:ram::[0-9]+:role/[A-Za-z0-9._-]+$`)
	sessionName = regexp.MustCompile(`^[A-Za-z0-9.@_-]+$`)
)

// SourceOf is the profile that an assume_role profile starts from.
func (a Auth) SourceOf() string {
	if a.Source == "" {
		return DefaultAuth
	}
	return a.Source
}

func (d *decoder) validateAuth(c *Config) {
	for _, name := range sortedKeys(c.Auth) {
		a, key := c.Auth[name], "auth."+name
		allowed, known := authKeys[a.Type]
		if !known {
			if !d.faulted[key+".type"] && !d.faulted[key] {
				d.fault(key+".type", "want %s", strings.Join(sortedKeys(authKeys), ", ")) // not quoted: it may be a key in the wrong place
			}
			continue
		}
		for field, value := range fieldsOf(reflect.ValueOf(&a).Elem()) {
			if value.String() != "" && field != "type" && !slices.Contains(allowed, field) {
				d.fault(key+"."+field, "not for type %s, which takes %s", a.Type, strings.Join(allowed, ", "))
			}
		}
		d.validateAuthFiles(key, a)
		d.validateAuthRole(c, name, a)
		d.validateAuthPlaces(c, key, a)
	}
}

// validateAuthFiles wants the files of a key together or not at all, where the
// environment has them.
func (d *decoder) validateAuthFiles(key string, a Auth) {
	files := map[string]string{"access_key_id_file": a.AccessKeyIDFile, "access_key_secret_file": a.AccessKeySecretFile}
	if a.Type == "sts" {
		files["security_token_file"] = a.SecurityTokenFile
	}
	for name, path := range files {
		d.isContents(key+"."+name, path)
	}
	d.isContents(key+".oidc_token_file", a.OIDCTokenFile)
	given := 0
	for _, path := range files {
		if path != "" {
			given++
		}
	}
	if given > 0 && given < len(files) {
		d.fault(key, "want %s together, or none of them for the environment's", strings.Join(sortedKeys(files), ", "))
	}
}

func (d *decoder) validateAuthRole(c *Config, name string, a Auth) {
	key := "auth." + name
	if a.RoleARN != "" && !roleARN.MatchString(a.RoleARN) {
		d.fault(key+".role_arn", "want acs:ram::ACCOUNT:role/NAME, got %q", a.RoleARN)
	}
	if n := len(a.SessionName); n > 0 && (n < 2 || n > 64 || !sessionName.MatchString(a.SessionName)) {
		d.fault(key+".session_name", "want 2 to 64 of A-Z a-z 0-9 . @ _ -, got %q", a.SessionName)
	}
	if a.Type != "assume_role" {
		return
	}
	if a.RoleARN == "" {
		d.fault(key+".role_arn", "want acs:ram::ACCOUNT:role/NAME")
	}
	seen := []string{name}
	for next := a; next.Type == "assume_role"; {
		source := next.SourceOf()
		if slices.Contains(seen, source) {
			d.fault(key+".source", "%s starts from itself: want a source that is not assumed from it", strings.Join(append(seen, source), " from "))
			return
		}
		var ok bool
		if next, ok = c.Auth[source]; !ok {
			d.fault(key+".source", "no auth profile %q: declare auth.%s", source, source)
			return
		}
		seen = append(seen, source)
	}
}

// validateAuthPlaces checks the addresses; none is quoted, since a URI may hold what
// lets its bearer in.
func (d *decoder) validateAuthPlaces(c *Config, key string, a Auth) {
	if a.STSEndpoint != "" {
		if e, err := parseEndpoint(a.STSEndpoint); err != nil || e.Scheme == "http" && !IsLoopback(e.Host) {
			d.fault(key+".sts_endpoint", "want a host, https://HOST, or http://127.0.0.1:PORT (plain http is for loopback only)")
		}
	}
	if a.MetadataEndpoint != "" {
		if e, err := parseEndpoint(a.MetadataEndpoint); err != nil || e.Scheme != "http" || !IsLoopback(e.Host) {
			d.fault(key+".metadata_endpoint", "want http://127.0.0.1:PORT: it stands in for an instance's metadata in tests")
		}
	}
	if a.URI != "" {
		u, err := url.Parse(a.URI)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			d.fault(key+".uri", "want http://HOST/PATH or https://HOST/PATH")
		} else if u.Scheme == "http" && !NextDoor(u.Hostname()) && !c.KMS.InsecureHTTP {
			d.fault(key+".uri", "plain http is for this machine only: use https, or set kms.insecure_http: true to send credentials in the clear")
		}
	}
}

// STS is the scheme and host of the STS that a profile asks: the explicit one, in a
// VPC that of region, else the one for all regions.
func (a Auth) STS(k KMS, region string) (scheme, host string) {
	if a.STSEndpoint != "" {
		if e, err := parseEndpoint(a.STSEndpoint); err == nil {
			return e.Scheme, e.Host
		}
	}
	if k.Network == "vpc" && region != "" {
		return "https", "sts-vpc." + region + ".aliyuncs.com"
	}
	return "https", "sts.aliyuncs.com"
}

// Metadata is where a profile finds an ECS instance's metadata.
func (a Auth) Metadata() string {
	if a.MetadataEndpoint != "" {
		return strings.TrimRight(a.MetadataEndpoint, "/")
	}
	return "http://" + MetadataHost
}
