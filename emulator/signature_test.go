package emulator

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// Known requests and their signatures, computed with the official SDKs.
const (
	vectorV1String = "POST&%2F&AccessKeyId%3Dtestid%26Action%3DGetSecretValue%26Format%3DJSON%26SecretName%3Dapp%252Fdb%2520creds%252A~" +
		"%26SignatureMethod%3DHMAC-SHA1%26SignatureNonce%3Dnonce-0001%26SignatureVersion%3D1.0" +
		"%26Timestamp%3D2024-01-02T03%253A04%253A05Z%26Version%3D2016-01-20"
	vectorV1 = "fzbVh2fNhcV0vQaao78998qgW+E="
	vectorV3 = "58ae0626ef389dd6d2c73716528e29ad37dba8021cbfdde5a4cd56fa877b35d4"
)

// vectorBench knows the key and the time of the vectors.
func vectorBench(t *testing.T) *bench {
	b := newBench(t)
	b.clock.Store(time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC).UnixNano())
	b.Emulator = New(Config{AccessKeyID: "testid", AccessKeySecret: "testsecret", Now: b.now})
	return b
}

func vectorV1Params() params {
	return given("Action", "GetSecretValue", "AccessKeyId", "testid", "Format", "JSON", "SecretName", "app/db creds*~",
		"SignatureMethod", "HMAC-SHA1", "SignatureNonce", "nonce-0001", "SignatureVersion", "1.0",
		"Timestamp", "2024-01-02T03:04:05Z", "Version", "2016-01-20", "Signature", vectorV1)
}

func TestVectorV1(t *testing.T) {
	t.Parallel()
	text := stringToSignV1(http.MethodPost, vectorV1Params(), nil)
	if text != vectorV1String {
		t.Errorf("string to sign = %q, want %q", text, vectorV1String)
	}
	if got := signV1("testsecret", text); got != vectorV1 {
		t.Errorf("signature = %q, want %q", got, vectorV1)
	}
	// The name in the vector is none that a secret can have: that this is the complaint proves the signature was taken.
	w := vectorBench(t).post(vectorV1Params())
	if got, want := code(t, w.Code, w.Body.String()), "400 InvalidParameter"; got != want {
		t.Errorf("answer = %s, want %s", got, want)
	}
}

// The doc's own example, with the signature that its page should have printed.
func TestVectorV1OfDoc(t *testing.T) {
	t.Parallel()
	p := given("Action", "CreateKey", "AccessKeyId", "testid", "Format", "json", "SignatureMethod", "HMAC-SHA1",
		"SignatureVersion", "1.0", "Timestamp", "2016-03-28T03:13:08Z", "Version", "2016-01-20")
	if got, want := signV1("testsecret", stringToSignV1(http.MethodGet, p, nil)), "41wk2SSX1GJh7fwnc5eqOfiJPFg="; got != want {
		t.Errorf("signature = %q, want %q", got, want)
	}
}

func vectorV3Request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://kms.cn-hangzhou.aliyuncs.com/?SecretName=app%2Fdb%20creds%2A~", nil)
	for name, value := range map[string]string{
		"x-acs-action": "GetSecretValue", "x-acs-version": "2016-01-20", "x-acs-date": "2024-01-02T03:04:05Z",
		"x-acs-signature-nonce": "nonce-0001", "x-acs-content-sha256": hexSHA256(nil),
	} {
		r.Header.Set(name, value)
	}
	r.Header.Set("Authorization", "ACS3-HMAC-SHA256 Credential=testid,SignedHeaders=host;x-acs-action;x-acs-content-sha256;"+
		"x-acs-date;x-acs-signature-nonce;x-acs-version,Signature="+vectorV3)
	return r
}

func TestVectorV3(t *testing.T) {
	t.Parallel()
	w := vectorBench(t).send(vectorV3Request(), "GetSecretValue")
	if got, want := code(t, w.Code, w.Body.String()), "400 InvalidParameter"; got != want {
		t.Errorf("answer = %s, want %s: %s", got, want, w.Body)
	}
}

// signedV3Request is a put over V3 with its parameters in a form body.
func (b *bench) signedV3Request(action string, query, body params) *http.Request {
	text := form(body)
	r := httptest.NewRequest(http.MethodPost, "http://kms.test/?"+form(query), strings.NewReader(text))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Acs-Action", action)
	r.Header.Set("X-Acs-Version", apiVersion)
	r.Header.Set("X-Acs-Date", b.now().UTC().Format(timeLayout))
	r.Header.Set("X-Acs-Signature-Nonce", fmt.Sprint("nonce-", b.calls.Add(1)))
	r.Header.Set("X-Acs-Content-Sha256", hexSHA256([]byte(text)))
	names := append([]string{"content-type"}, signedV3...)
	req := &request{method: http.MethodPost, host: "kms.test", header: r.Header, query: query}
	signature := signV3("emulator-secret", stringToSignV3(req.canonicalV3(names, hexSHA256([]byte(text)))))
	r.Header.Set("Authorization", algorithmV3+" Credential=emulator,SignedHeaders="+strings.Join(names, ";")+",Signature="+signature)
	return r
}

func TestV3WithForm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := b.signedV3Request("CreateSecret", given("SecretName", "s"), given("VersionId", "v1", "SecretData", canary+" +*~"))
	if w := b.send(r, "CreateSecret"); w.Code != http.StatusOK {
		t.Fatalf("CreateSecret = %d %s", w.Code, w.Body)
	}
	r = b.signedV3Request("GetSecretValue", given("SecretName", "s"), nil)
	var reply valueReply
	decode(t, b.send(r, "GetSecretValue").Body.String(), &reply)
	if got, want := reply.SecretData, canary+" +*~"; got != want {
		t.Errorf("SecretData = %q, want %q", got, want)
	}
}

// flips returns s with one byte changed, for each byte.
func flips(s string) []string {
	var all []string
	for i := range len(s) {
		b := []byte(s)
		b[i] ^= 1
		all = append(all, string(b))
	}
	return all
}

func TestFlippedByteV1(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good := b.signed("CreateSecret", given("SecretName", "s", "VersionId", "v1", "SecretData", canary, "Description", "a&b"))
	for name, value := range good {
		for _, flipped := range flips(value) {
			p := maps.Clone(good)
			p[name] = flipped
			if w := b.post(p); w.Code/100 != 4 {
				t.Errorf("%s=%q: status = %d, want a refusal", name, flipped, w.Code)
			}
		}
		for _, flipped := range flips(name) {
			p := maps.Clone(good)
			delete(p, name)
			p[flipped] = value
			if w := b.post(p); w.Code/100 != 4 {
				t.Errorf("%s instead of %s: status = %d, want a refusal", flipped, name, w.Code)
			}
		}
	}
	// None of those used up the nonce.
	if w := b.post(good); w.Code != http.StatusOK {
		t.Errorf("the untouched request = %d %s, want 200", w.Code, w.Body)
	}
}

func TestFlippedByteV3(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	query, body := given("SecretName", "s", "VersionId", "v1"), given("SecretData", canary)
	refused := func(what string, r *http.Request) {
		t.Helper()
		if w := b.send(r, "CreateSecret"); w.Code/100 != 4 {
			t.Errorf("%s: status = %d, want a refusal", what, w.Code)
		}
	}
	good := b.signedV3Request("CreateSecret", query, body)
	again := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, good.URL.String(), strings.NewReader(form(body)))
		r.Host, r.Header = good.Host, good.Header.Clone()
		return r
	}
	for _, name := range slices.Sorted(maps.Keys(good.Header)) {
		for _, flipped := range flips(good.Header.Get(name)) {
			r := again()
			r.Header.Set(name, flipped)
			refused(name+": "+flipped, r)
		}
		r := again()
		r.Header.Del(name)
		refused("without "+name, r)
	}
	for _, host := range flips("kms.test") {
		r := again()
		r.Host = host
		refused("host "+host, r)
	}
	for name, value := range query {
		for _, flipped := range flips(value) {
			r, p := again(), maps.Clone(query)
			p[name] = flipped
			r.URL.RawQuery = form(p)
			refused(name+"="+flipped, r)
		}
	}
	for _, text := range flips(form(body)) {
		for _, hash := range []string{good.Header.Get("X-Acs-Content-Sha256"), hexSHA256([]byte(text))} {
			r := again()
			r.Body = io.NopCloser(strings.NewReader(text))
			r.Header.Set("X-Acs-Content-Sha256", hash)
			refused("body "+text, r)
		}
	}
	if w := b.send(again(), "CreateSecret"); w.Code != http.StatusOK {
		t.Errorf("the untouched request = %d %s, want 200", w.Code, w.Body)
	}
}

func TestSignatureEcho(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.signed("GetSecretValue", given("SecretName", "a b"))
	want := "Specified signature is not matched with our calculation. server string to sign is:" + stringToSignV1(http.MethodPost, p, nil)
	p["Signature"] = "x"
	var got gatewayError
	decode(t, b.post(p).Body.String(), &got)
	if got.Message != want {
		t.Errorf("message = %q, want %q", got.Message, want)
	}
	p = b.signed("PutSecretValue", given("SecretName", "s", "SecretData", canary, "VersionId", "v1", "rest"+canary, "y"))
	p["Signature"] = "x"
	decode(t, b.post(p).Body.String(), &got)
	for _, part := range []string{"%26SecretData%3D***%26SecretName%3Ds%26", "%26***"} {
		if !strings.Contains(got.Message, part) {
			t.Errorf("message = %q, want %q in it", got.Message, part)
		}
	}
	r := b.signedV3Request("GetSecretValue", given("SecretName", "s"), nil)
	r.Header.Set("X-Acs-Action", "DescribeSecret")
	decode(t, b.send(r, "DescribeSecret").Body.String(), &got)
	if want := "server string to sign is:" + algorithmV3 + "\n"; !strings.Contains(got.Message, want) {
		t.Errorf("message = %q, want %q in it", got.Message, want)
	}
	r = b.signedV3Request("PutSecretValue", nil, given("SecretName", "s", "SecretData", canary))
	r.Header.Set("X-Acs-Action", "CreateSecret")
	decode(t, b.send(r, "CreateSecret").Body.String(), &got)
	if !strings.HasSuffix(got.Message, "server string to sign is:***") {
		t.Errorf("message = %q, want nothing of the request in it", got.Message)
	}
}
