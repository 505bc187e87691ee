package emulator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// fetch sends a plain request.
func fetch(b *bench, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://kms.test"+path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if w := fetch(b, http.MethodPut, "/latest/api/token", ttlHeader, "60"); w.Code != http.StatusNotFound {
		t.Errorf("without a role = %d, want 404", w.Code)
	}
	b.Emulator = New(Config{Now: b.now, ECSRole: "app"})
	if err := b.LoadPolicy(file(t, testPolicies)); err != nil {
		t.Fatal(err)
	}
	b.create()
	token := fetch(b, http.MethodPut, "/latest/api/token", ttlHeader, "60").Body.String()
	const credentials = "/latest/meta-data/ram/security-credentials/"
	for _, tc := range []struct {
		method, path, header, value string
		want                        string
	}{
		{http.MethodPut, "/latest/api/token", ttlHeader, "0", "400 "},
		{http.MethodPut, "/latest/api/token", ttlHeader, "21601", "400 "},
		{http.MethodGet, "/latest/api/token", ttlHeader, "60", "405 "},
		{http.MethodGet, "/latest/meta-data/region-id", tokenHeader, token, "200 cn-hangzhou"},
		{http.MethodGet, "/latest/meta-data/region-id", tokenHeader, "", "403 "},
		{http.MethodGet, "/latest/meta-data/region-id", tokenHeader, "x" + token, "403 "},
		{http.MethodGet, credentials, tokenHeader, token, "200 app"},
		{http.MethodGet, credentials + "other", tokenHeader, token, "404 "},
		{http.MethodGet, "/latest/user-data", tokenHeader, token, "404 "},
	} {
		w := fetch(b, tc.method, tc.path, tc.header, tc.value)
		if got := fmt.Sprint(w.Code, " ", w.Body); got != tc.want {
			t.Errorf("%s %s %s = %q, want %q", tc.method, tc.path, tc.value, got, tc.want)
		}
	}
	b.reads(fetch(b, http.MethodGet, credentials+"app", tokenHeader, token))
	b.pass(time.Minute)
	if w := fetch(b, http.MethodGet, credentials, tokenHeader, token); w.Code != http.StatusForbidden {
		t.Errorf("with an expired token = %d, want 403", w.Code)
	}
}

// reads uses credentials that were had without a signature.
func (b *bench) reads(w *httptest.ResponseRecorder) {
	b.t.Helper()
	var got handedOut
	decode(b.t, w.Body.String(), &got)
	who := person{got.AccessKeyID, got.AccessKeySecret, got.SecurityToken}
	if outcome, _ := b.as(who, "GetSecretValue", "SecretName", "s"); outcome != "200 " || got.Code != "Success" {
		b.t.Errorf("GetSecretValue with %q credentials = %s, want 200", got.Code, outcome)
	}
}

func TestIMDSv1(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Emulator = New(Config{Now: b.now, ECSRole: "app", IMDSv1: true})
	b.create()
	b.reads(fetch(b, http.MethodGet, "/latest/meta-data/ram/security-credentials/app"))
}

func TestCredentialsURI(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	b.create()
	b.reads(fetch(b, http.MethodGet, "/credentials/app"))
	b.reads(fetch(b, http.MethodGet, "/credentials/"+appRole))
	for _, path := range []string{"/credentials/", "/credentials/none", "/credentials/acs:ram::9:role/app"} {
		if w := fetch(b, http.MethodGet, path); w.Code != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", path, w.Code)
		}
	}
}
