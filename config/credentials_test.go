package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const withCredentials = `
auth:
  default: {type: sts, access_key_id_file: "${CREDENTIALS_DIRECTORY}/id", access_key_secret_file: "${CREDENTIALS_DIRECTORY}/secret", security_token_file: /token}
http: {token_file: "${CREDENTIALS_DIRECTORY}/token"}
`

// TestCredentials: files that systemd hands over are named by their credential.
func TestCredentials(t *testing.T) {
	t.Parallel()
	load := func(text string, environ ...string) (Config, error) {
		file := filepath.Join(t.TempDir(), "kmsrun.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(Source{File: file, Environ: environ})
	}
	c, err := load(withCredentials, "CREDENTIALS_DIRECTORY=/run/credentials/app.service")
	if err != nil {
		t.Fatal(err)
	}
	const dir = "/run/credentials/app.service/"
	want := Auth{Type: "sts", AccessKeyIDFile: dir + "id", AccessKeySecretFile: dir + "secret", SecurityTokenFile: "/token"}
	if got := c.Auth["default"]; got != want || c.HTTP.TokenFile != dir+"token" || len(c.Warnings) > 0 {
		t.Errorf("got %+v, %q, warnings %v", got, c.HTTP.TokenFile, c.Warnings)
	}
	file := filepath.Join(t.TempDir(), "kmsrun.yaml")
	if err := os.WriteFile(file, []byte(withCredentials), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := LoadHTTP(Source{File: file, Environ: []string{"CREDENTIALS_DIRECTORY=/run/credentials/app.service"}})
	if err != nil || settings.TokenFile != dir+"token" {
		t.Errorf("the endpoint alone: got %q, %v", settings.TokenFile, err)
	}
	c, err = load(withCredentials)
	if err != nil || len(c.Warnings) != 3 || c.HTTP.TokenFile != CredentialsDir+"token" {
		t.Errorf("without credentials: got %v, %q, warnings %v; want the text as it is, and a warning for each", err, c.HTTP.TokenFile, c.Warnings)
	}
	if _, err = load(`http: {token_file: "${CREDENTIALS_DIRECTORY}/../../etc/shadow"}`); err == nil {
		t.Error("a path below the credentials was taken for a credential")
	}
}

// TestSocketsByFlag: an override of a list has one entry per line.
func TestSocketsByFlag(t *testing.T) {
	t.Parallel()
	override := func(text string) Source {
		return Source{File: "testdata/full.yaml", Overrides: []Override{{[]string{"child", "sockets"}, text, "--socket"}}}
	}
	c, err := Load(override("tcp://[::1]:80\nadmin=unix:/run/admin"))
	want := []Socket{{"", "tcp", "[::1]:80"}, {"admin", "unix", "/run/admin"}}
	if err != nil || len(c.Child.Sockets) != 2 || c.Child.Sockets[0] != want[0] || c.Child.Sockets[1] != want[1] {
		t.Errorf("got %v, %v, want %v", c.Child.Sockets, err, want)
	}
	if _, err := Load(override("80")); err == nil || !strings.Contains(err.Error(), `--socket: want tcp://HOST:PORT or unix:/PATH, got "80"`) {
		t.Errorf("got %v", err)
	}
}
