package kms

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/services/sts"

	"github.com/kmsrun/kmsrun/config"
)

// defaultSession names our sessions in audit logs.
const defaultSession = "kmsrun"

func sessionOf(a config.Auth) string {
	if a.SessionName == "" {
		return defaultSession
	}
	return a.SessionName
}

// assumeRole takes on a role with the credentials of another profile.
func (l *logins) assumeRole(ctx context.Context, a config.Auth, source Credentials) (Credentials, *Error) {
	request := sts.CreateAssumeRoleRequest()
	request.RegionId = l.client.loginRegion()
	request.Scheme, request.Domain = a.STS(l.client.settings, request.RegionId)
	request.RoleArn, request.RoleSessionName, request.ExternalId = a.RoleARN, sessionOf(a), a.ExternalID
	response := sts.CreateAssumeRoleResponse()
	start := time.Now()
	err := l.client.do(ctx, source, request, response)
	var keys Credentials
	if err == nil {
		c := response.Credentials
		keys, err = handedOut{c.AccessKeyId, c.AccessKeySecret, c.SecurityToken, c.Expiration}.credentials("role " + a.RoleARN)
	}
	l.client.report("AssumeRole", start, err)
	if err != nil {
		err.step, err.caller = "taking on role "+a.RoleARN, source.identity
		if err.Kind == Denied {
			err.advice = "grant sts:AssumeRole on " + a.RoleARN + err.grantee() + ", and let the role's trust policy name the caller (and external_id)"
		}
		if err.Code != "" && err.Kind == Invalid {
			err.advice = "check role_arn, session_name and external_id"
		}
		return Credentials{}, err
	}
	return keys.ofRole(a.RoleARN), nil
}

func (c Credentials) ofRole(arn string) Credentials {
	c.role, c.account = arn, accountOf(arn)
	return c
}

// oidc takes on a role with the token of a Kubernetes service account (RRSA). What
// the declaration leaves open is in the environment of the pod.
func (l *logins) oidc(ctx context.Context, a config.Auth) (Credentials, *Error) {
	var missing []string
	fill := func(value *string, name string) {
		if *value == "" {
			*value = l.lookup.either(name)
		}
		if *value == "" {
			missing = append(missing, "ALIBABA_CLOUD_"+name)
		}
	}
	fill(&a.RoleARN, "ROLE_ARN")
	fill(&a.OIDCProviderARN, "OIDC_PROVIDER_ARN")
	fill(&a.OIDCTokenFile, "OIDC_TOKEN_FILE")
	if len(missing) > 0 {
		return Credentials{}, noCredentials("RRSA is set up in part", "set "+strings.Join(missing, " and "))
	}
	if a.SessionName == "" {
		a.SessionName = l.lookup.either("ROLE_SESSION_NAME")
	}
	keys, err := l.assumeRoleWithOIDC(ctx, a)
	if err != nil {
		err.step = "taking on role " + a.RoleARN + " by OIDC"
		if err.Kind == Denied || err.Kind == BadCredentials || err.Kind == Expired {
			err.advice = "check the role's trust policy, the provider " + a.OIDCProviderARN + " and the token in " + a.OIDCTokenFile
		}
		return Credentials{}, err
	}
	return keys.ofRole(a.RoleARN), nil
}

// assumeRoleWithOIDC reads the token's file at each refresh: the kubelet renews it.
func (l *logins) assumeRoleWithOIDC(ctx context.Context, a config.Auth) (Credentials, *Error) {
	token, unread := l.client.files.read(ctx, a.OIDCTokenFile)
	if unread != nil {
		unread.advice = "check ALIBABA_CLOUD_OIDC_TOKEN_FILE and the volume of the token"
		return Credentials{}, unread
	}
	scheme, host := a.STS(l.client.settings, l.client.loginRegion())
	query := url.Values{
		"Action": {"AssumeRoleWithOIDC"}, "Version": {"2015-04-01"}, "Format": {"JSON"},
		"Timestamp": {time.Now().UTC().Format("2006-01-02T15:04:05Z")},
	}
	form := url.Values{
		"RoleArn": {a.RoleARN}, "OIDCProviderArn": {a.OIDCProviderARN}, "RoleSessionName": {sessionOf(a)},
		"OIDCToken": {strings.TrimSpace(string(token.text))},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+host+"/?"+query.Encode(), strings.NewReader(form.Encode()))
	if err != nil {
		return Credentials{}, invalid("an sts_endpoint that is none")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, failed := l.client.exchange(r, "AssumeRoleWithOIDC")
	if failed != nil {
		return Credentials{}, failed
	}
	var response struct{ Credentials handedOut }
	if json.Unmarshal(body, &response) != nil {
		return Credentials{}, invalid("an answer that is not JSON")
	}
	return response.Credentials.credentials("role " + a.RoleARN + " by OIDC")
}
