package emulator

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestTimestampWindow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		skew time.Duration
		want string
	}{
		{0, "200 "},
		{-15 * time.Minute, "200 "},
		{15 * time.Minute, "200 "},
		{-15*time.Minute - time.Second, "400 InvalidTimeStamp.Expired"},
		{15*time.Minute + time.Second, "400 InvalidTimeStamp.Expired"},
	} {
		b := newBench(t)
		b.clock.Store(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
		p := b.signed("ListSecrets", nil)
		b.pass(-tc.skew)
		w := b.post(p)
		if got := code(t, w.Code, w.Body.String()); got != tc.want {
			t.Errorf("skew %v: answer = %s, want %s", tc.skew, got, tc.want)
		}
	}
}

func TestNonce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.signed("ListSecrets", nil)
	for i, want := range []string{"200 ", "400 SignatureNonceUsed", "400 SignatureNonceUsed"} {
		w := b.post(p)
		if got := code(t, w.Code, w.Body.String()); got != want {
			t.Errorf("use %d of a nonce = %s, want %s", i+1, got, want)
		}
		b.pass(5 * time.Minute)
	}
	for range 100 {
		b.pass(time.Minute)
		b.must("ListSecrets")
	}
	remembered := 0
	for _, used := range b.nonces.minutes {
		remembered += len(used)
	}
	if limit := 20; remembered > limit {
		t.Errorf("%d nonces are remembered, want at most %d", remembered, limit)
	}
}

func TestGetWithQuery(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.signed("ListSecrets", given("Format", "json"))
	p["Signature"] = signV1("emulator-secret", stringToSignV1(http.MethodGet, p, nil))
	r := httptest.NewRequest(http.MethodGet, "http://kms.test/?"+form(p), nil)
	if w := b.send(r, "ListSecrets"); w.Code != http.StatusOK {
		t.Errorf("GET = %d %s, want 200", w.Code, w.Body)
	}
	// Terraform's way: common parameters in the query, the others in the form.
	b.create()
	p = b.signed("DescribeSecret", given("SecretName", "s"))
	name := given("SecretName", p["SecretName"])
	delete(p, "SecretName")
	r = httptest.NewRequest(http.MethodPost, "http://kms.test/?"+form(p), strings.NewReader(form(name)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	if w := b.send(r, "DescribeSecret"); w.Code != http.StatusOK {
		t.Errorf("POST with query and form = %d %s, want 200", w.Code, w.Body)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	if got, want := encode("aZ09-_.~ *+/=%&ü"), "aZ09-_.~%20%2A%2B%2F%3D%25%26%C3%BC"; got != want {
		t.Errorf("encode = %q, want %q", got, want)
	}
}
