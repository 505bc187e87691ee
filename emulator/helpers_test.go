package emulator

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// canary is (part of) every secret value in these tests. No answer but that of GetSecretValue may hold it.
const canary = "c4n4ry"

// bench is an emulator with a clock that tests move, and a caller that signs.
type bench struct {
	*Emulator
	t     *testing.T
	clock atomic.Int64 // nanoseconds since the epoch
	calls atomic.Int64
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t}
	b.clock.Store(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC).UnixNano())
	b.Emulator = New(Config{Now: b.now})
	return b
}

func (b *bench) now() time.Time { return time.Unix(0, b.clock.Load()) }

func (b *bench) pass(d time.Duration) { b.clock.Add(int64(d)) }

// given builds params from pairs.
func given(pairs ...string) params {
	p := params{}
	for i := 0; i < len(pairs); i += 2 {
		p[pairs[i]] = pairs[i+1]
	}
	return p
}

// signed adds the common parameters and the signature to those of an action.
func (b *bench) signed(action string, p params) params {
	return b.signedFor(http.MethodPost, action, p)
}

// signedFor is signed for another method.
func (b *bench) signedFor(method, action string, p params) params {
	all := params{
		"Action": action, "Version": apiVersion, "Format": "JSON", "AccessKeyId": "emulator",
		"SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
		"SignatureNonce": fmt.Sprint("nonce-", b.calls.Add(1)), "Timestamp": b.now().UTC().Format(timeLayout),
	}
	maps.Copy(all, p)
	all["Signature"] = signV1("emulator-secret", stringToSignV1(method, all, nil))
	return all
}

func form(p params) string {
	values := url.Values{}
	for name, value := range p {
		values.Set(name, value)
	}
	return values.Encode()
}

// post sends parameters as a form.
func (b *bench) post(p params) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://kms.test/", strings.NewReader(form(p)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.send(r, p["Action"])
}

func (b *bench) send(r *http.Request, action string) *httptest.ResponseRecorder {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if body := w.Body.String(); strings.Contains(body, canary) && (action != "GetSecretValue" || w.Code != http.StatusOK) {
		b.t.Errorf("%s answers %d with a secret value: %s", action, w.Code, body)
	}
	if got, want := w.Header().Get("Content-Type"), "application/json;charset=utf-8"; got != want {
		b.t.Errorf("%s: Content-Type = %q, want %q", action, got, want)
	}
	if got, want := w.Header().Get("Content-Length"), fmt.Sprint(w.Body.Len()); got != want {
		b.t.Errorf("%s: Content-Length = %q, want %q", action, got, want)
	}
	return w
}

// call sends a signed action and returns status and body.
func (b *bench) call(action string, pairs ...string) (int, string) {
	b.t.Helper()
	w := b.post(b.signed(action, given(pairs...)))
	return w.Code, w.Body.String()
}

// must is call for actions that have to succeed.
func (b *bench) must(action string, pairs ...string) string {
	b.t.Helper()
	status, body := b.call(action, pairs...)
	if status != http.StatusOK {
		b.t.Fatalf("%s %q = %d %s, want 200", action, pairs, status, strings.ReplaceAll(body, canary, "***"))
	}
	return body
}

// create makes a secret named s with version v1.
func (b *bench) create() {
	b.t.Helper()
	b.must("CreateSecret", "SecretName", "s", "VersionId", "v1", "SecretData", canary+"-v1")
}

// stages returns the labels of all versions of s as "v1[ACSPrevious] v2[ACSCurrent]".
func (b *bench) stages() string {
	b.t.Helper()
	var reply versionsReply
	decode(b.t, b.must("ListSecretVersionIds", "SecretName", "s", "IncludeDeprecated", "true", "PageSize", "100"), &reply)
	var all []string
	for _, v := range reply.VersionIDs.VersionID {
		all = append(all, v.VersionID+"["+strings.Join(v.VersionStages.VersionStage, " ")+"]")
	}
	return strings.Join(all, " ")
}

func decode(t *testing.T, body string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), into); err != nil {
		t.Fatalf("decoding answer: %v", err)
	}
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// anonymous replaces request ids by ID.
func anonymous(body string) string { return uuid.ReplaceAllString(body, "ID") }

// code returns "status Code" of an answer, "200 " for a success.
func code(t *testing.T, status int, body string) string {
	t.Helper()
	var reply struct{ Code string }
	decode(t, body, &reply)
	return fmt.Sprint(status, " ", reply.Code)
}
