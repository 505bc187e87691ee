package kms

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/kmsrun/kmsrun/config"
)

var roleName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// ecsRole asks the metadata of the instance for a session of its role.
func (l *logins) ecsRole(ctx context.Context, a config.Auth) (Credentials, *Error) {
	const list = "/latest/meta-data/ram/security-credentials/"
	m := metadata{l.client, a.Metadata()}
	role := a.RoleName
	if role == "" {
		role = l.lookup.either("ECS_METADATA")
	}
	keys, err := func() (Credentials, *Error) {
		if role == "" {
			text, err := m.get(ctx, list)
			if role = strings.TrimSpace(text); err != nil {
				return Credentials{}, err
			}
		}
		if !roleName.MatchString(role) {
			return Credentials{}, noCredentials("the instance has no role", "attach a role to it, or choose another auth type")
		}
		body, err := m.get(ctx, list+role)
		if err != nil {
			return Credentials{}, err
		}
		keys, err := decodeHandedOut([]byte(body), "role "+role+" of this ECS instance")
		if err != nil {
			err.present = true
		}
		return keys, err
	}()
	if err != nil {
		err.step = "asking the metadata of the ECS instance"
		if err.Code == "" && err.Kind != NoCredentials {
			err.advice = "check that this is an ECS instance with a role, and that its metadata can be reached from here"
		}
	}
	return keys, err
}

// uri asks a local service that hands out sessions.
func (l *logins) uri(ctx context.Context, a config.Auth) (Credentials, *Error) {
	address, name := a.URI, "auth's uri"
	if address == "" {
		address, name = l.lookup.either("CREDENTIALS_URI"), "ALIBABA_CLOUD_CREDENTIALS_URI"
	}
	if address == "" {
		return Credentials{}, noCredentials(name+" is not set", "set it")
	}
	keys, err := l.askURI(ctx, address)
	if err == nil && inTheClear(address) {
		keys.what += ", in the clear"
	}
	if err != nil {
		err.step = "asking the credentials URI"
		if err.advice == "" {
			err.advice = "check " + name + ", and the service behind it"
		}
	}
	return keys, err
}

func (l *logins) askURI(ctx context.Context, address string) (Credentials, *Error) {
	// The texts of errors are not told: a URI may hold what lets its bearer in.
	u, err := url.Parse(address)
	if err == nil && u.Scheme == "http" && !config.NextDoor(u.Hostname()) && !l.client.settings.InsecureHTTP {
		return Credentials{}, noCredentials("plain http is for this machine only", "use https, or set kms.insecure_http: true to send credentials in the clear")
	}
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return Credentials{}, noCredentials("not an http or https address of a host", "")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Credentials{}, noCredentials("not an http or https address of a host", "")
	}
	body, failed := l.client.exchange(r, "CredentialsURI")
	if failed != nil {
		return Credentials{}, failed
	}
	return decodeHandedOut(body, "what the credentials URI hands out")
}

func inTheClear(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && !config.NextDoor(u.Hostname())
}
