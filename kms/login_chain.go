package kms

import (
	"context"
	"errors"
	"strings"

	"github.com/kmsrun/kmsrun/config"
)

// chain finds out how this machine logs in: by the first of environment, RRSA,
// profile files, credentials URI and instance role that is set up here. What is set
// up and fails is an error: going on to the next would be another identity. What
// has worked once is asked from then on.
func (l *logins) chain(a config.Auth) source {
	var chosen source
	return func(ctx context.Context) (Credentials, *Error) { // one at a time: the bridge sees to it
		if chosen != nil {
			return chosen(ctx)
		}
		for _, way := range l.ways(a) {
			keys, err := way.first(ctx)
			if err == nil {
				chosen = way.then
				return keys, nil
			}
			if !errors.Is(err, errNotHere) {
				return Credentials{}, err
			}
		}
		return Credentials{}, noCredentials("neither in the environment nor by RRSA, profile files, a credentials URI or an instance role", setKey+", or see auth in the declaration")
	}
}

// way is one way of logging in: at first it may turn out not to be set up here, and
// after it has worked it fails like any other.
type way struct{ first, then source }

func (l *logins) ways(a config.Auth) []way {
	environment := func(context.Context) (Credentials, *Error) { return l.chainEnvironment() }
	oidc, uri := l.chainOIDC(a), l.chainURI()
	return []way{
		{environment, environment},
		{oidc, oidc},
		{l.chainFiles(a), func(ctx context.Context) (Credentials, *Error) { return l.profile(ctx, a) }},
		{uri, uri},
		{l.chainInstance(a), func(ctx context.Context) (Credentials, *Error) { return l.ecsRole(ctx, a) }},
	}
}

// errNotHere says that a way of logging in is not set up on this machine.
var errNotHere = errors.New("not set up here")

func notHere() (Credentials, *Error) {
	return Credentials{}, &Error{Kind: NoCredentials, cause: errNotHere}
}

func (l *logins) off(name string) bool { return strings.EqualFold(l.lookup.either(name), "true") }

func (l *logins) chainEnvironment() (Credentials, *Error) {
	keys, err := fromEnvironment(l.lookup)
	if errors.Is(err, errNoKey) {
		return notHere()
	}
	if err != nil {
		return Credentials{}, orNoKey(err, setKey)
	}
	return keys, nil
}

func (l *logins) chainOIDC(a config.Auth) source {
	return func(ctx context.Context) (Credentials, *Error) {
		if l.lookup.either("ROLE_ARN")+l.lookup.either("OIDC_PROVIDER_ARN")+l.lookup.either("OIDC_TOKEN_FILE") == "" {
			return notHere()
		}
		return l.oidc(ctx, config.Auth{SessionName: a.SessionName, STSEndpoint: a.STSEndpoint})
	}
}

func (l *logins) chainFiles(a config.Auth) source {
	return func(ctx context.Context) (Credentials, *Error) {
		if l.off("CLI_PROFILE_DISABLED") {
			return notHere()
		}
		keys, err := l.profile(ctx, a)
		if err != nil && errors.Is(err, errNoProfile) && a.Profile == "" && l.lookup.either("PROFILE") == "" {
			return notHere()
		}
		return keys, err
	}
}

func (l *logins) chainURI() source {
	return func(ctx context.Context) (Credentials, *Error) {
		if l.lookup.either("CREDENTIALS_URI") == "" {
			return notHere()
		}
		return l.uri(ctx, config.Auth{})
	}
}

func (l *logins) chainInstance(a config.Auth) source {
	return func(ctx context.Context) (Credentials, *Error) {
		if l.off("ECS_METADATA_DISABLED") {
			return notHere()
		}
		keys, err := l.ecsRole(ctx, a)
		guess := a.RoleName == "" && l.lookup.either("ECS_METADATA") == ""
		if err != nil && ctx.Err() == nil && guess && !err.serverAnswered() {
			return notHere() // a guess that did not come true
		}
		return keys, err
	}
}
