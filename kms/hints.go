package kms

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// hint says what a person can do.
func (e *Error) hint() string {
	if e.advice != "" {
		return e.advice
	}
	switch e.Kind {
	case NotFound:
		return e.notFoundHint()
	case Deleting:
		return "restore it (RestoreSecret)"
	case Denied:
		if advice := stateHint(e.Code); advice != "" {
			return advice
		}
		return "grant kms:GetSecretValue on " + e.arn() + e.grantee() + ", and kms:Decrypt if a key of yours encrypts it"
	case BadCredentials, Expired:
		return credentialsHint(e.Code, e.caller)
	case NoCredentials:
		return "see auth in the declaration"
	case NoRegion:
		return "set ALIBABA_CLOUD_REGION_ID, --region or kms.region (or --endpoint)"
	case Clock:
		return clockHint(e.ahead)
	case Untrusted:
		return "set kms.ca_file to the endpoint's CA"
	case Throttled:
		return "the account's quota of secret reads is used up"
	case Unavailable:
		return "check the region, the endpoint and the network"
	case Invalid:
		if e.step != "" && e.Code != "" {
			return "check what the auth profile declares"
		}
		return "check that the endpoint is KMS, and what proxies stand before it"
	}
	return ""
}

// stateHint is for what no grant helps against: the state of the key that encrypts the
// secret, of the KMS instance or of the account.
func stateHint(code string) string {
	switch {
	case strings.HasPrefix(code, "Rejected.PendingDeletion"):
		return "cancel the deletion of the key that encrypts it (CancelKeyDeletion)"
	case strings.HasPrefix(code, "Rejected.PendingImport"):
		return "import the material of the key that encrypts it (ImportKeyMaterial)"
	case strings.HasPrefix(code, "Rejected.Unavailable"), strings.HasPrefix(code, "Forbidden.DKMSInstance"):
		return "check the KMS instance: it may have expired, or have been released"
	case strings.HasPrefix(code, "Rejected."):
		return "enable the key that encrypts it (EnableKey)"
	case strings.HasPrefix(code, "Forbidden.KeyNotFound"), strings.HasPrefix(code, "Forbidden.KeyVersionNotFound"):
		return "the key that encrypts it is gone, and its values with it: put a new value under another key"
	case strings.HasPrefix(code, "Forbidden.KmsServiceNotEnabled"):
		return "activate KMS for the account, in its console"
	case strings.HasPrefix(code, "Forbidden.InDebt"), strings.HasPrefix(code, "Forbidden.ProhibitedByRiskControl"), strings.HasPrefix(code, "Forbidden.Ubsms"):
		return "the account is barred, and not this caller: its owner can see why in the console"
	}
	return ""
}

func (e *Error) notFoundHint() string {
	what := "stage " + e.ID.Stage
	if e.ID.Version != "" {
		what = "version " + e.ID.Version
	}
	return fmt.Sprintf("check the name, the region, and that it has %s", what)
}

func (e *Error) arn() string {
	if e.ID.Account != "" {
		return e.ID.SecretName()
	}
	return "acs:kms:" + cmp.Or(e.Region, "*") + ":" + cmp.Or(e.account, e.caller.account, "*") + ":secret/" + e.ID.Name
}

// grantee says who lacks the grant, where we know it.
func (e *Error) grantee() string {
	switch {
	case e.caller.role != "":
		return " to " + e.caller.role
	case e.caller.handedOut:
		return " to " + e.caller.what
	}
	return ""
}

func credentialsHint(code string, caller identity) string {
	if caller.role != "" {
		return "the session of " + caller.role + " was refused, and a fresh one too: check that the endpoint and STS are of one cloud, and this machine's clock"
	}
	switch {
	case caller.handedOut:
		return caller.what + " was refused: check that who hands it out and the endpoint are of one cloud, and this machine's clock"
	case strings.HasPrefix(code, "InvalidAccessKeyId"):
		return "the access key id is unknown or disabled: check " + cmp.Or(caller.from[0], variables[0][0])
	case strings.HasPrefix(code, "InvalidSecurityToken"), strings.HasPrefix(code, "MissingSecurityToken"):
		return "the STS token is wrong or has expired: check " + cmp.Or(caller.from[2], variables[0][2])
	default:
		return "the access key secret is wrong: check " + cmp.Or(caller.from[1], variables[0][1])
	}
}

func clockHint(ahead time.Duration) string {
	const allowed = "KMS allows 15 minutes of difference"
	switch {
	case ahead > time.Minute:
		return fmt.Sprintf("set this machine's clock, which is %s ahead: %s", ahead, allowed)
	case ahead < -time.Minute:
		return fmt.Sprintf("set this machine's clock, which is %s behind: %s", -ahead, allowed)
	}
	return "set this machine's clock: " + allowed
}
