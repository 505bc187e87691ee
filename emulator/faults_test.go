package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// faultBench has the secret s, and faults.
func faultBench(t *testing.T, rules ...Fault) *bench {
	t.Helper()
	b := newBench(t)
	b.create()
	if err := b.Fault(rules...); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRefusingFaults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"throttle":      "429 Rejected.Throttling",
		"throttle-user": "400 Throttling.User",
		"throttle-api":  "400 Throttling.Api",
		"unavailable":   "503 ServiceUnavailableTemporary",
		"internal":      "500 InternalFailure",
		"denied":        "403 Forbidden.NoPermission",
		"not-found":     "404 Forbidden.ResourceNotFound",
		"expired-token": "400 InvalidSecurityToken.Expired",
		"clock-skew":    "400 InvalidTimeStamp.Expired",
	} {
		b := faultBench(t, Fault{Kind: kind, Times: 1})
		for _, want := range []string{want, "200 "} {
			if got, _ := b.as(theRoot, "GetSecretValue", "SecretName", "s"); got != want {
				t.Errorf("%s: GetSecretValue = %s, want %s", kind, got, want)
			}
		}
	}
}

func TestFaultMatching(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		action, secret string
		want           bool
	}{
		{"", "", true},
		{"GetSecretValue", "s", true},
		{"Get*", "?", true},
		{"GetSecretValues", "", false},
		{"", "prod/*", false},
	} {
		b := faultBench(t, Fault{Action: tc.action, Secret: tc.secret, Kind: "internal"})
		status, _ := b.call("GetSecretValue", "SecretName", "acs:kms:cn-hangzhou:"+ours+":secret/s")
		if got := status == http.StatusInternalServerError; got != tc.want {
			t.Errorf("action %q, secret %q strikes: %v, want %v", tc.action, tc.secret, got, tc.want)
		}
	}
	b := faultBench(t, Fault{Secret: "*", Kind: "internal"})
	b.must("ListSecrets")
	b = faultBench(t, Fault{Kind: "throttle", Times: 2}, Fault{Kind: "internal", Times: 1})
	var got []int
	for range 4 {
		status, _ := b.call("ListSecrets")
		got = append(got, status)
	}
	if want := []int{429, 429, 500, 200}; !slices.Equal(got, want) {
		t.Errorf("statuses = %v, want %v", got, want)
	}
	p := b.signed("ListSecrets", nil)
	p["Signature"] = "x"
	b = faultBench(t, Fault{Kind: "internal"})
	if w := b.post(p); w.Code != http.StatusBadRequest {
		t.Errorf("a wrong signature with a fault = %d, want 400", w.Code)
	}
}

func TestFaultRate(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (struck string) {
		b := faultBench(t, Fault{Kind: "internal", Rate: 0.5, Seed: seed})
		for range 64 {
			status, _ := b.call("ListSecrets")
			struck += fmt.Sprint(status / 500)
		}
		return struck
	}
	a, again, other := run(1), run(1), run(2)
	if a != again || a == other {
		t.Errorf("draws of seeds 1, 1, 2 = %s, %s, %s; want the first two the same, and only those", a, again, other)
	}
	if n := strings.Count(a, "1"); n < 16 || n > 48 {
		t.Errorf("%d of 64 calls struck at a rate of 0.5", n)
	}
}

func TestRawFaults(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"html":         "200 text/html; charset=utf-8 70",
		"redirect":     "302 text/html; charset=utf-8 31",
		"no-content":   "204  0",
		"empty":        "200 application/json;charset=utf-8 2",
		"oversize":     "200 application/json;charset=utf-8 2097152",
		"numeric-code": "400 application/json;charset=utf-8 61",
	} {
		b := faultBench(t, Fault{Kind: kind})
		w := httptest.NewRecorder()
		b.ServeHTTP(w, b.request(b.signed("GetSecretValue", given("SecretName", "s"))))
		if got := fmt.Sprint(w.Code, " ", w.Header().Get("Content-Type"), " ", w.Body.Len()); got != want {
			t.Errorf("%s = %s, want %s", kind, got, want)
		}
		if kind != "html" && kind != "redirect" && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: the body is not JSON", kind)
		}
	}
}

// request carries parameters as a form.
func (b *bench) request(p params) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://kms.test/", strings.NewReader(form(p)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// Faults of delivery lose the answer, not the write.
func TestDeliveryFaults(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		for _, kind := range []string{kindReset, kindTruncate, kindContentType} {
			b := faultBench(t, Fault{Action: "GetSecretValue", Kind: kind}, Fault{Action: "PutSecretValue", Kind: kind})
			server := httptest.NewUnstartedServer(b)
			start := server.Start
			if secure {
				start = server.StartTLS
			}
			start()
			t.Cleanup(server.Close)
			put := func(action string) (*http.Response, []byte, error) {
				p := b.signed(action, given("SecretName", "s", "VersionId", "v2", "SecretData", canary))
				if action == "GetSecretValue" {
					p = b.signed(action, given("SecretName", "s"))
				}
				resp, err := server.Client().PostForm(server.URL, values(p))
				if err != nil {
					return nil, nil, err
				}
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				return resp, body, err
			}
			_, _, _ = put("PutSecretValue")
			resp, body, err := put("GetSecretValue")
			switch {
			case kind == kindReset:
				if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
					t.Errorf("%s: error = %v, want a broken connection", kind, err)
				}
			case err != nil:
				t.Errorf("%s: %v", kind, err)
			case json.Valid(body) != (kind == kindContentType):
				t.Errorf("%s: valid JSON: %v", kind, json.Valid(body))
			case kind == kindContentType && resp.Header.Get("Content-Type") != "text/plain; charset=utf-8":
				t.Errorf("%s: Content-Type = %q", kind, resp.Header.Get("Content-Type"))
			}
			if got, want := b.stages(), "v1[ACSPrevious] v2[ACSCurrent]"; got != want {
				t.Errorf("%s: versions = %s, want %s", kind, got, want)
			}
		}
	}
}

func values(p params) url.Values {
	all := url.Values{}
	for name, value := range p {
		all.Set(name, value)
	}
	return all
}

func TestSlowFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := faultBench(t, Fault{Kind: kindLatency, Duration: Duration(3 * time.Second), Times: 1}, Fault{Kind: kindHang})
		start := time.Now()
		b.must("ListSecrets")
		if got, want := time.Since(start), 3*time.Second; got != want {
			t.Errorf("latency = %v, want %v", got, want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r := b.request(b.signed("ListSecrets", nil)).WithContext(ctx)
		func() {
			defer func() {
				if got, _ := recover().(error); !errors.Is(got, http.ErrAbortHandler) {
					t.Errorf("a hang ended with %v, want the connection aborted", got)
				}
			}()
			b.ServeHTTP(httptest.NewRecorder(), r)
		}()
		if got, want := time.Since(start), time.Hour+3*time.Second; got != want {
			t.Errorf("hang = %v, want %v", got, want)
		}
		if got := b.Requests()[2]; got.Fault != kindHang || got.Status != 0 {
			t.Errorf("journal = %+v, want a hang without a status", got)
		}
	})
}

func TestParseFault(t *testing.T) {
	t.Parallel()
	got, err := ParseFault("action=Get*,secret=prod/*,kind=latency,rate=0.25,seed=7,duration=1.5s")
	want := Fault{Action: "Get*", Secret: "prod/*", Kind: "latency", Rate: 0.25, Seed: 7, Duration: Duration(1500 * time.Millisecond)}
	if err != nil || got != want {
		t.Errorf("fault = %+v, %v; want %+v", got, err, want)
	}
	for _, tc := range []struct{ text, want string }{
		{"", `fault "": want action, secret, kind, times, rate, seed or duration, each as KEY=VALUE`},
		{"kind=x", `fault "kind=x": unknown kind "x", known are ` + strings.Join(faultKinds(), ", ")},
		{"kind=throttle,times=x", `fault "kind=throttle,times=x": times can't be read`},
		{"kind=throttle,times=-1", `fault "kind=throttle,times=-1": times must be positive, and rate between 0 and 1`},
		{"kind=throttle,rate=NaN", `fault "kind=throttle,rate=NaN": times must be positive, and rate between 0 and 1`},
		{"kind=throttle,times=1,rate=1", `fault "kind=throttle,times=1,rate=1": times and rate exclude each other`},
		{"kind=latency", `fault "kind=latency": latency needs a duration`},
		{"kind=hang,duration=1s", `fault "kind=hang,duration=1s": only latency has a duration`},
	} {
		if _, err := ParseFault(tc.text); err == nil || err.Error() != tc.want {
			t.Errorf("ParseFault(%q)\n got %v\nwant %s", tc.text, err, tc.want)
		}
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Emulator = New(Config{Now: b.now, RealQuotas: true})
	b.create()
	count := func(action string, pairs ...string) (passed int) {
		for range 500 {
			if got, _ := b.as(theRoot, action, pairs...); !strings.HasPrefix(got, "429 Rejected.Throttling") {
				passed++
			}
		}
		return passed
	}
	for _, tc := range []struct {
		action string
		want   int
	}{
		{"GetSecretValue", 450}, {"ListSecrets", 40}, {"DescribeSecret", 0}, {"DeleteSecret", 9},
	} {
		if got := count(tc.action, "SecretName", "s", "ForceDeleteWithoutRecovery", "maybe"); got != tc.want {
			t.Errorf("%s passed %d times, want %d", tc.action, got, tc.want)
		}
	}
	if err := b.Advance(time.Second); err != nil {
		t.Fatal(err)
	}
	if got, want := count("ListSecrets"), 40; got != want {
		t.Errorf("a second later %d passed, want %d", got, want)
	}
}

func TestZeroIsNotAlways(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"kind=throttle,rate=0", "kind=throttle,times=0", "kind=throttle,rate=0.0"} {
		if _, err := ParseFault(rule); !errors.Is(err, errZero) {
			t.Errorf("ParseFault(%q) = %v, want %v", rule, err, errZero)
		}
	}
	for _, rule := range []string{`{"kind":"throttle","rate":0}`, `{"kind":"throttle","times":0}`, `{"kind":"throttle","tmies":1}`} {
		var f Fault
		if err := json.Unmarshal([]byte(rule), &f); err == nil {
			t.Errorf("Unmarshal(%s) = nil, want an error", rule)
		}
	}
	var f Fault
	if err := json.Unmarshal([]byte(`{"kind":"throttle","times":2,"secret":"a"}`), &f); err != nil || f != (Fault{Kind: "throttle", Times: 2, Secret: "a"}) {
		t.Errorf("Unmarshal = %+v, %v", f, err)
	}
}
