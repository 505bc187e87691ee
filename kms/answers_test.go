package kms

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kmsrun/kmsrun/secret"
)

func answering(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// kmsError is an error body of KMS with a canary in every text.
func kmsError(code string) string {
	return `{"Code":"` + code + `","Message":"` + canary + ` http://x/?Signature=` + canary + `","RequestId":"R-1","Recommend":"` + canary + `"}`
}

// good is goodAnswer with one thing replaced.
func good(old, replacement string) string { return strings.Replace(goodAnswer, old, replacement, 1) }

func TestAnswers(t *testing.T) {
	t.Parallel()
	html := "<html>" + canary + "</html>"
	stages := `{"VersionStage":["ACSCurrent"]}`
	for _, test := range []struct {
		name   string
		status int
		body   string
		kind   Kind // empty: success
		code   string
	}{
		{"good", 200, goodAnswer, "", ""},
		{"invalid UTF-8", 200, good(canary, "\xff\xfe"), "", ""},
		{"empty value", 200, good(canary, ""), Invalid, ""},
		{"no create time", 200, good("2026-01-02T03:04:05Z", canary), "", ""},

		{"empty", 200, "", Invalid, ""},
		{"no content", 204, "", Invalid, ""},
		{"empty object", 200, "{}", Invalid, ""},
		{"error with status 200", 200, kmsError("Throttling"), Invalid, ""},
		{"HTML with status 200", 200, html, Invalid, "SDK.JsonUnmarshalError"},
		{"another secret", 200, good("prod/db", "prod/"+canary), Invalid, ""},
		{"no version", 200, good("VersionId", "versionid"), Invalid, ""},
		{"garbled version", 200, good(`"VersionId":"`, "\"VersionId\":\"\xff"), Invalid, ""},
		{"endless version", 200, good(`"VersionId":"`, `"VersionId":"`+strings.Repeat(canary, 100)), Invalid, ""},
		{"no request id", 200, good("RequestId", "requestid"), Invalid, ""},
		{"ExtendedConfig as object", 200, good("{", `{"ExtendedConfig":{"a":"`+canary+`"},`), Invalid, "SDK.JsonUnmarshalError"},
		{"VersionStages as bare list", 200, good(stages, `["ACSCurrent"]`), Invalid, "SDK.JsonUnmarshalError"},
		{"truncated", 200, goodAnswer[:80], Invalid, "SDK.JsonUnmarshalError"},
		{"2 MiB", 200, good(canary, strings.Repeat(canary, 2<<20/len(canary))), Invalid, ""},

		{"numeric Code", 403, `{"Code":403,"Message":"` + canary + `"}`, Invalid, ""},
		{"numeric Code of an outage", 503, `{"Code":503,"Message":"` + canary + `"}`, Unavailable, ""},
		{"numeric Code of a throttle", 429, `{"Code":429,"Message":"` + canary + `"}`, Throttled, ""},
		{"Message as object", 400, `{"Code":"X","Message":{"a":"` + canary + `"}}`, Invalid, ""},
		{"AccessDeniedDetail as string", 403, `{"Code":"Forbidden.NoPermission","AccessDeniedDetail":"` + canary + `"}`, Invalid, ""},
		{"HTML with status 404", 404, html, Invalid, ""},
		{"HTML with status 502", 502, html, Unavailable, ""},
		{"empty with status 500", 500, "", Unavailable, ""},
		{"truncated with status 500", 500, kmsError("InternalFailure")[:60], Unavailable, ""},
		{"invalid UTF-8 in an error", 400, "{\"Code\":\"\xff" + canary + "\",\"Message\":\"\xff" + canary + "\"}", Invalid, ""},
		{"a Code that is none", 400, kmsError(canary + " http://x"), Invalid, ""},
		{"2 MiB of error", 502, strings.Repeat(canary, 2<<20/len(canary)), Invalid, ""},

		{"throttled by KMS", 429, kmsError("Rejected.Throttling"), Throttled, "Rejected.Throttling"},
		{"throttled by the gateway", 400, kmsError("Throttling.User"), Throttled, "Throttling.User"},
		{"unavailable", 503, kmsError("ServiceUnavailableTemporary"), Unavailable, "ServiceUnavailableTemporary"},
		{"internal failure", 500, kmsError("InternalFailure"), Unavailable, "InternalFailure"},
		{"nonce used", 400, kmsError("SignatureNonceUsed"), Unavailable, "SignatureNonceUsed"},
		{"clock", 400, kmsError("InvalidTimeStamp.Expired"), Clock, "InvalidTimeStamp.Expired"},
		{"denied", 403, kmsError("Forbidden.NoPermission"), Denied, "Forbidden.NoPermission"},
		{"key disabled", 409, kmsError("Rejected.Disabled"), Denied, "Rejected.Disabled"},
		{"delete window", 409, kmsError("Rejected.ResourceInDeleteWindow"), Deleting, "Rejected.ResourceInDeleteWindow"},
		{"not found", 404, kmsError("Forbidden.ResourceNotFound"), NotFound, "Forbidden.ResourceNotFound"},
		{"signature", 400, kmsError("SignatureDoesNotMatch"), BadCredentials, "SignatureDoesNotMatch"},
		{"token expired", 403, kmsError("InvalidSecurityToken.Expired"), Expired, "InvalidSecurityToken.Expired"},
		{"parameter", 400, kmsError("InvalidParameter"), Invalid, "InvalidParameter"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, answering(test.status, test.body))
			c := newClient(t, settingsFor(server.URL), withToken())
			for range 2 { // the second time on whatever the first left behind
				value, err := c.Get(t.Context(), current)
				if test.kind == "" {
					if err != nil || value.Version != "v1" {
						t.Errorf("got version %q and error %v, want v1", value.Version, err)
					}
					continue
				}
				failure(t, err, test.kind)
				e, _ := errors.AsType[*Error](err)
				if got, want := e.Code, test.code; got != want {
					t.Errorf("code: got %q, want %q", got, want)
				}
			}
		})
	}
}

// TestAnswerBytes: JSON in, the very bytes out.
func TestAnswerBytes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, json, want string }{
		{"invalid UTF-8", "\xff\xfe", "\xff\xfe"},
		{"lone surrogates", `a\ud800b\udc00`, "a\ufffdb\ufffd"},
		{"NUL and newline", `a\u0000b\n`, "a\x00b\n"},
		{"beyond the BMP", `\ud83d\ude00ü`, "😀ü"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, answering(http.StatusOK, good(canary, test.json)))
			value, err := newClient(t, settingsFor(server.URL), withToken()).Get(t.Context(), current)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(value.Bytes()); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestErrorText has one row for each hint that the emulator can't provoke.
func TestErrorText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status     int
		code, text string
	}{
		{403, "Forbidden.NoPermission", `access denied (Forbidden.NoPermission, request R-1): ` +
			`grant kms:GetSecretValue on acs:kms:cn-hangzhou:*:secret/prod/db, and kms:Decrypt if a key of yours encrypts it`},
		{409, "Rejected.Disabled", `access denied (Rejected.Disabled, request R-1): enable the key that encrypts it (EnableKey)`},
		{409, "Rejected.ResourceInDeleteWindow", `scheduled for deletion (Rejected.ResourceInDeleteWindow, request R-1): restore it (RestoreSecret)`},
		{400, "InvalidTimeStamp.Expired", `clock skew (InvalidTimeStamp.Expired, request R-1): set this machine's clock: KMS allows 15 minutes of difference`},
		{429, "Rejected.Throttling", `throttled (Rejected.Throttling, request R-1): the account's quota of secret reads is used up`},
		{503, "ServiceUnavailableTemporary", `unavailable (ServiceUnavailableTemporary, request R-1): check the region, the endpoint and the network`},
		{502, "?", `unavailable (HTTP status 502 without an error of KMS, request R-1): check the region, the endpoint and the network`},
		{404, "Forbidden.KeyNotFound", `access denied (Forbidden.KeyNotFound, request R-1): the key that encrypts it is gone, and its values with it: put a new value under another key`},
		{409, "Rejected.PendingDeletion", `access denied (Rejected.PendingDeletion, request R-1): cancel the deletion of the key that encrypts it (CancelKeyDeletion)`},
		{409, "Rejected.PendingImport", `access denied (Rejected.PendingImport, request R-1): import the material of the key that encrypts it (ImportKeyMaterial)`},
		{403, "Rejected.Unavailable", `access denied (Rejected.Unavailable, request R-1): check the KMS instance: it may have expired, or have been released`},
		{403, "Forbidden.DKMSInstanceStateInvalid", `access denied (Forbidden.DKMSInstanceStateInvalid, request R-1): check the KMS instance: it may have expired, or have been released`},
		{403, "Forbidden.KmsServiceNotEnabled", `access denied (Forbidden.KmsServiceNotEnabled, request R-1): activate KMS for the account, in its console`},
		{403, "Forbidden.InDebtOverdue", `access denied (Forbidden.InDebtOverdue, request R-1): the account is barred, and not this caller: its owner can see why in the console`},
		{200, "?", `invalid answer (an answer without VersionId or RequestId, request R-1): check that the endpoint is KMS, and what proxies stand before it`},
	} {
		t.Run(test.code, func(t *testing.T) {
			t.Parallel()
			server := serve(t, answering(test.status, kmsError(test.code)))
			_, err := newClient(t, settingsFor(server.URL), withToken()).Get(t.Context(), current)
			if got, want := err.Error(), `reading secret "prod/db" in cn-hangzhou: `+test.text; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			var contacted atomic.Int64
			target := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				contacted.Add(1)
				_, _ = io.WriteString(w, goodAnswer)
			}))
			server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, target.URL+"/"+canary, status)
			}))
			_, err := newClient(t, settingsFor(server.URL), withToken()).Get(t.Context(), current)
			failure(t, err, Invalid)
			if got, want := contacted.Load(), int64(0); got != want {
				t.Errorf("requests to the target: got %d, want %d", got, want)
			}
		})
	}
}

func TestDeniedNamesTheResource(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		id     secret.ID
		region string
		arn    string
	}{
		{current, "cn-beijing", "acs:kms:cn-beijing:*:secret/prod/db"},
		{current, "", "acs:kms:*:*:secret/prod/db"},
		{secret.ID{Region: "cn-beijing", Account: "42", Name: "x"}, "cn-beijing", "acs:kms:cn-beijing:42:secret/x"},
	} {
		err := &Error{Kind: Denied, ID: test.id, Region: test.region}
		if got, want := err.Error(), "grant kms:GetSecretValue on "+test.arn+","; !strings.Contains(got, want) {
			t.Errorf("got %q, want it to say %q", got, want)
		}
		if got, want := err.Reason(), "access denied"; got != want {
			t.Errorf("reason: got %q, want %q", got, want)
		}
	}
}
