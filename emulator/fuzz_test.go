package emulator

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// fuzzBench has the secret s, and whatever a request may end up at.
func fuzzBench(f *testing.F) *bench {
	f.Helper()
	b := &bench{} // without a T: what is used of it here needs none
	b.clock.Store(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC).UnixNano())
	b.Emulator = New(Config{Now: b.now, ECSRole: "app"})
	b.store.addKey(newKey("k", ""))
	if err := b.Put("s", "v1", []byte(canary)); err != nil {
		f.Fatal(err)
	}
	return b
}

// served is the status of a request that is made as it is, however odd.
func served(b *bench, r *http.Request) (int, string) {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// FuzzRequest throws anything at the handler, plain and under a good signature: no answer is our fault.
func FuzzRequest(f *testing.F) {
	const formType = "application/x-www-form-urlencoded"
	for _, seed := range []struct{ method, path, query, kind, body, header, value string }{
		{"GET", "/", "Action=ListSecrets&Version=2016-01-20", "", "", "", ""},
		{"POST", "/", "", formType, "Action=GetSecretValue&SecretName=s&VersionStage=ACSCurrent&DryRun=true", "X-Acs-Action", "x"},
		{"POST", "/", "Action=CreateSecret&SecretName=t&VersionId=v1", formType, "SecretData=x", "Authorization", "ACS3-HMAC-SHA256 Credential=a,SignedHeaders=b,Signature=c"},
		{"POST", "/", "Action=PutSecretValue&SecretName=s&VersionId=v2&SecretData=x&VersionStages=%5B%22a%22%5D", "", "", "", ""},
		{"POST", "/", "Action=Decrypt&CiphertextBlob=AQFrAXYAAAAAAAAAAAAAAAB4&EncryptionContext=%7B%7D", "", "", "", ""},
		{"POST", "/", "Action=Encrypt&KeyId=k&Plaintext=YQ%3D%3D&EncryptionContext=%7B%22a%22%3A%22b%22%7D", "", "", "Accept", "text/xml;q=0.5"},
		{"POST", "/", "Action=TagResources&RegionId=r&ResourceType=key&ResourceId.1=k&Tag.1.Key=a", "", "", "", ""},
		{"POST", "/", "Action=ListTagResources&RegionId=r&ResourceType=secret&ResourceId.1=s&NextToken=eA", "", "", "", ""},
		{"POST", "/", "Action=CreateKey&KeySpec=RSA_2048&Tags.a=b&DKMSInstanceId=kst", "", "", "", ""},
		{"POST", "/", "Action=SetSecretPolicy&SecretName=s&Policy=%7B%7D", "", "", "", ""},
		{"POST", "/", "Action=AssumeRole&Version=2015-04-01&RoleArn=acs:ram::1:role/a&RoleSessionName=xx", "", "", "", ""},
		{"POST", "/", "Action=AssumeRoleWithOIDC&Version=2015-04-01&RoleArn=acs:ram::1:role/a&RoleSessionName=xx&OIDCProviderArn=acs:ram::1:oidc-provider/p&OIDCToken=e30.e30.x", "", "", "", ""},
		{"PUT", "/latest/api/token", "", "", "", ttlHeader, "60"},
		{"GET", "/latest/meta-data/ram/security-credentials/app", "", "", "", tokenHeader, "x"},
		{"GET", "/credentials/app", "", "", "", "", ""},
		{"POST", "/_emulator/clock", "", "", `{"advance":"1h"}`, "", ""},
		{"GET", "/_emulator/requests", "", "", "", "Origin", "x"},
	} {
		f.Add(seed.method, seed.path, seed.query, seed.kind, seed.body, seed.header, seed.value)
	}
	b := fuzzBench(f)
	f.Fuzz(func(t *testing.T, method, path, query, kind, body, header, value string) {
		b.pass(time.Second) // so that nonces are forgotten in the end
		if strings.HasPrefix(path, "/_emulator/faults") {
			t.Skip("a fault that is asked for is one")
		}
		r := (&http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Host: "kms.test", RemoteAddr: "127.0.0.1:1",
			Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body)),
		}).WithContext(t.Context())
		r.Header.Set(header, value)
		if status, _ := served(b, r); status != http.StatusOK && status/100 != 4 {
			t.Errorf("plain: status = %d, want 200 or 4xx", status)
		}
		p := params{}
		if p.add(query) != nil {
			return
		}
		signed := b.signed(p["Action"], p)
		if status, answer := served(b, b.request(signed)); status != http.StatusOK && status/100 != 4 || !json.Valid([]byte(answer)) {
			t.Errorf("signed: status = %d, want 200 or 4xx with a JSON body", status)
		}
	})
}

// FuzzSignatureV1 changes one parameter of a good request: only the untouched one passes.
func FuzzSignatureV1(f *testing.F) {
	for _, seed := range [][2]string{
		{"SecretName", "s"},
		{"SecretName", "s "},
		{"SignatureMethod", "hmac-sha1"},
		{"Timestamp", "2026-01-02T03:04:05Z"},
		{"Signature", ""},
		{"SecurityToken", "x"},
		{"new", ""},
		{"SecretName&x", "%00"},
		{"", "\xff"},
	} {
		f.Add(seed[0], seed[1])
	}
	b := fuzzBench(f)
	f.Fuzz(func(t *testing.T, name, value string) {
		b.pass(time.Second)
		good := b.signed("GetSecretValue", given("SecretName", "s"))
		changed := maps.Clone(good)
		changed[name] = value
		status, _ := served(b, b.request(changed))
		if same := maps.Equal(good, changed); same != (status == http.StatusOK) || !same && status/100 != 4 {
			t.Errorf("%q=%q: status = %d, want 200 if untouched and 4xx if not", name, value, status)
		}
	})
}

// FuzzSignatureV3 changes headers and query of a good request.
func FuzzSignatureV3(f *testing.F) {
	for _, seed := range [][3]string{
		{"X-Acs-Date", "x", "SecretName=s"},
		{"Authorization", algorithmV3 + " Credential=a,SignedHeaders=b,Signature=c", "SecretName=s"},
		{"X-Acs-Content-Sha256", "", "SecretName=s"},
		{"Content-Type", "text/plain", "SecretName=s"},
		{"X-Unsigned", "x", "SecretName=s"},
		{"X-Acs-Security-Token", "x", "SecretName=s"},
		{"X-Acs-Version", "2015-04-01", "a=b"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	b := fuzzBench(f)
	f.Fuzz(func(t *testing.T, name, value, query string) {
		b.pass(time.Second)
		r := b.signedV3Request("GetSecretValue", given("SecretName", "s"), nil)
		before := r.Header.Clone()
		same := query == r.URL.RawQuery
		r.Header.Set(name, value)
		r.URL.RawQuery = query
		status, _ := served(b, r)
		if status != http.StatusOK && status/100 != 4 {
			t.Errorf("status = %d, want 200 or 4xx", status)
		}
		signed := name == "Authorization" || slices.Contains(append([]string{"content-type"}, signedV3...), strings.ToLower(name))
		if signed && strings.TrimSpace(before.Get(name)) != strings.TrimSpace(r.Header.Get(name)) && status == http.StatusOK {
			t.Errorf("%s: %q passed instead of %q", name, value, before.Get(name))
		}
		p := params{}
		if !same && status == http.StatusOK && (p.add(query) != nil || !maps.Equal(p, given("SecretName", "s"))) {
			t.Errorf("query %q passed", query)
		}
	})
}
