package kms

import (
	"context"
	"strings"
	"sync"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// Login is how a client proves who it is.
type Login struct {
	Fixed  *Credentials                   // of every profile, if set
	Auth   map[string]config.Auth         // profiles by name
	Lookup Lookup                         // of our environment
	Using  func(auth, identity string)    // told of each login's identity, by several profiles at once
	Moved  func(region string, err error) // told of a fallback region, and why; without an error, that it is over
}

// Fixed logs in with one access key.
func Fixed(keys Credentials) Login { return Login{Fixed: &keys} }

// Used names the environment's variables with which the profiles of ids log in and
// which let their bearer in: keys, and the address of who hands out sessions. The
// program should not inherit them.
func (l Login) Used(ids []secret.ID) []string {
	if l.Fixed != nil {
		return nil
	}
	var used []string
	_, err := fromEnvironment(l.Lookup)
	for _, id := range ids {
		a := l.Auth[profileName(id)]
		for a.Type == "assume_role" {
			a = l.Auth[a.SourceOf()]
		}
		switch {
		case err == nil && (a.Type == "chain" || a.Type == "access_key" || a.Type == "sts") && a.AccessKeyIDFile == "":
			used = append(used, Variables()...)
		case a.Type == "chain" || a.Type == "uri" && a.URI == "":
			used = append(used, "ALIBABA_CLOUD_CREDENTIALS_URI", "ALICLOUD_CREDENTIALS_URI")
		}
	}
	return used
}

// profile is one way of logging in, at work.
type profile struct {
	name     string
	settings config.Auth
	bridge   *bridge
	// retry has the number of pauses that throttled reads of a start have made, for
	// whoever's turn it is to try again.
	retry chan int
}

func profileName(id secret.ID) string {
	if id.Auth == "" {
		return config.DefaultAuth
	}
	return id.Auth
}

func (c *Client) newProfiles(login Login) map[string]*profile {
	if len(login.Auth) == 0 {
		login.Auth = map[string]config.Auth{config.DefaultAuth: {}}
	}
	if login.Using == nil {
		login.Using = func(string, string) {}
	}
	c.moved = login.Moved
	profiles := map[string]*profile{}
	for name, settings := range login.Auth {
		p := &profile{name: name, settings: settings, retry: make(chan int, 1)}
		p.retry <- 0
		l := &logins{client: c, lookup: login.Lookup, profiles: profiles}
		ask := l.source(settings)
		if login.Fixed != nil {
			ask = func(context.Context) (Credentials, *Error) { return *login.Fixed, nil }
		}
		p.bridge = newBridge(named(name, ask), func(keys Credentials) { login.Using(name, keys.what) })
		profiles[name] = p
	}
	return profiles
}

// named puts the profile's name before what goes wrong in it.
func named(name string, ask source) source {
	return func(ctx context.Context) (Credentials, *Error) {
		keys, err := ask(ctx)
		if err != nil && !strings.HasPrefix(err.step, "logging in as auth profile ") {
			step := "logging in as auth profile " + name
			if err.step != "" {
				step += ": " + err.step
			}
			err.step = step
		}
		return keys, err
	}
}

// Keep renews the sessions of all profiles ahead of their end, until ctx ends.
func (c *Client) Keep(ctx context.Context) {
	var group sync.WaitGroup
	for _, p := range c.profiles {
		group.Go(func() { p.bridge.keep(ctx) })
	}
	group.Wait()
}

// logins makes the sources of the types of profiles.
type logins struct {
	client   *Client
	lookup   Lookup
	profiles map[string]*profile
}

func (l *logins) source(a config.Auth) source {
	switch a.Type {
	case "access_key", "sts":
		return func(ctx context.Context) (Credentials, *Error) { return l.accessKey(ctx, a) }
	case "oidc":
		return func(ctx context.Context) (Credentials, *Error) { return l.oidc(ctx, a) }
	case "ecs_role":
		return func(ctx context.Context) (Credentials, *Error) { return l.ecsRole(ctx, a) }
	case "profile":
		return func(ctx context.Context) (Credentials, *Error) { return l.profile(ctx, a) }
	case "uri":
		return func(ctx context.Context) (Credentials, *Error) { return l.uri(ctx, a) }
	case "assume_role":
		return func(ctx context.Context) (Credentials, *Error) {
			from := l.profiles[a.SourceOf()].bridge
			source, err := from.get(ctx)
			if err != nil {
				return Credentials{}, err
			}
			keys, err := l.assumeRole(ctx, a, source)
			if err != nil && err.mayHaveExpired() { // the source's, once, as for a secret
				fresh, failed := from.replace(ctx, source)
				if failed != nil {
					return Credentials{}, failed
				}
				if !fresh.same(source) {
					return l.assumeRole(ctx, a, fresh)
				}
			}
			return keys, err
		}
	default:
		return l.chain(a)
	}
}

// accessKey reads an access key or STS token from files, or from the environment.
func (l *logins) accessKey(ctx context.Context, a config.Auth) (Credentials, *Error) {
	if a.AccessKeyIDFile == "" {
		keys, err := fromEnvironment(l.lookup)
		switch {
		case err == nil && a.Type == "sts" && keys.token == nil:
			return Credentials{}, noCredentials(variables[0][2]+" is not set", "set it")
		case err == nil:
			return keys, nil
		}
		return Credentials{}, orNoKey(err, setKey)
	}
	return l.keysOfFiles(ctx, [3]string{a.AccessKeyIDFile, a.AccessKeySecretFile, a.SecurityTokenFile})
}

// orNoKey is err, or what to do when there is nothing in the environment.
func orNoKey(err error, advice string) *Error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // it is ours and not wrapped
		return e
	}
	return noCredentials("", advice)
}
