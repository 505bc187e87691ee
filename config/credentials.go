package config

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// CredentialsDir begins the path of a file that systemd hands over to its unit.
const CredentialsDir = "${CREDENTIALS_DIRECTORY}/"

// fillCredentials puts the directory of the unit's credentials into the paths that begin
// with it. Where there is none, as when a declaration is checked on another machine, they
// stay as they are. (sealed.identity_file is package seal's: its rules look at the mount.)
func (d *decoder) fillCredentials(c *Config, environ []string) {
	dir := firstVariable(environ, "CREDENTIALS_DIRECTORY")
	fill := func(key string, file *string) {
		name, credential := strings.CutPrefix(*file, CredentialsDir)
		switch {
		case !credential:
		case name == "" || strings.Contains(name, "/"):
			d.fault(key, "want an absolute path, or %sNAME, got %q", CredentialsDir, *file)
		case dir == "":
			d.warn(c, key, "CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential=%s:PATH", name)
		default:
			*file = path.Join(dir, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Auth)) {
		a, key := c.Auth[name], "auth."+name
		fill(key+".access_key_id_file", &a.AccessKeyIDFile)
		fill(key+".access_key_secret_file", &a.AccessKeySecretFile)
		fill(key+".security_token_file", &a.SecurityTokenFile)
		fill(key+".oidc_token_file", &a.OIDCTokenFile)
		c.Auth[name] = a
	}
	fill("kms.ca_file", &c.KMS.CAFile)
	fill("http.token_file", &c.HTTP.TokenFile)
	fill("http.tls_cert", &c.HTTP.TLSCert)
	fill("http.tls_key", &c.HTTP.TLSKey)
}

// isContents tells whether what should be the path of a file of secrets is what is in it,
// such as a key in PEM. It is a fault where it is declared: who reads the file would
// quote its path.
func (d *decoder) isContents(key, file string) bool {
	if !strings.Contains(file, "\n") {
		return false
	}
	d.fault(key, "want the path of a file, not what is in it")
	return true
}
