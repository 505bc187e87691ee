package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// control talks to the control endpoints and returns "STATUS BODY".
func (b *bench) control(method, path, body string) string {
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(method, "http://127.0.0.1/_emulator/"+path, strings.NewReader(body)))
	return fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String()))
}

func TestClock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const refused = "400 the clock only goes forward, by at most 100 years in all"
	for _, tc := range []struct{ method, body, want string }{
		{http.MethodGet, "", `200 {"now":"2026-01-02T03:04:05.000000006Z","ahead":"0s"}`},
		{http.MethodPost, `{"advance":"24h"}`, `200 {"now":"2026-01-03T03:04:05.000000006Z","ahead":"24h0m0s"}`},
		{http.MethodPost, `{"set":"2026-01-04T00:00:00Z"}`, `200 {"now":"2026-01-04T00:00:00Z","ahead":"44h55m55s"}`},
		{http.MethodPost, `{"set":"2026-01-03T00:00:00Z"}`, refused},
		{http.MethodPost, `{"advance":"-1h"}`, refused},
		{http.MethodPost, `{"advance":"2000000h"}`, refused},
		{http.MethodPost, `{}`, `400 want {"advance": "24h"} or {"set": "2026-01-02T03:04:05Z"}`},
		{http.MethodPost, `{"advance":"1h","set":"2027-01-04T00:00:00Z"}`, `400 want {"advance": "24h"} or {"set": "2026-01-02T03:04:05Z"}`},
		{http.MethodDelete, "", "404 " + errNoControl.Error()},
	} {
		if got := b.control(tc.method, "clock", tc.body); got != tc.want {
			t.Errorf("%s %s = %s, want %s", tc.method, tc.body, got, tc.want)
		}
	}
}

// The state lives by the clock that was moved; signatures don't.
func TestClockMovesState(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create()
	b.must("DeleteSecret", "SecretName", "s", "RecoveryWindowInDays", "7")
	p := b.signed("ListSecrets", nil)
	if err := b.Advance(7 * 24 * time.Hour); err != nil {
		t.Fatal(err)
	}
	if status, _ := b.call("RestoreSecret", "SecretName", "s"); status != http.StatusNotFound {
		t.Errorf("after the window = %d, want 404", status)
	}
	for _, want := range []string{"200 ", "400 SignatureNonceUsed"} {
		w := b.post(p)
		if got := code(t, w.Code, w.Body.String()); got != want {
			t.Errorf("a request from before = %s, want %s", got, want)
		}
	}
}

func TestFaultsEndpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, tc := range []struct{ method, body, want string }{
		{http.MethodGet, "", "200 []"},
		{http.MethodPost, `[{"action":"List*","kind":"latency","duration":"1ms","times":3}]`, `200 [{"action":"List*","kind":"latency","times":3,"duration":"1ms","used":0}]`},
		{http.MethodPost, `[{"kind":"throttle"},{"kind":"x"}]`, `400 fault 2: unknown kind "x", known are ` + strings.Join(faultKinds(), ", ")},
		{http.MethodPost, `[{"kind":"throttle","time":1}]`, "400 not the JSON that is wanted here: unknown field \"time\""},
		{http.MethodPost, `[{"kind":"throttle","times":0}]`, "400 not the JSON that is wanted here: times and rate must be greater than 0; leave both out for every call"},
		{http.MethodPost, `[] []`, "400 not the JSON that is wanted here"},
		{http.MethodDelete, "", "200 []"},
		{http.MethodPost, "[" + strings.Repeat(`{"kind":"throttle"},`, maxFaults) + `{"kind":"throttle"}]`, "400 more than 1000 faults"},
	} {
		if got := b.control(tc.method, "faults", tc.body); got != tc.want {
			t.Errorf("%s %.80s = %s, want %s", tc.method, tc.body, got, tc.want)
		}
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	b := policyBench(t)
	b.create()
	app := b.assume(theReader, appRole)
	b.as(app, "GetSecretValue", "SecretName", "s")
	b.as(theReader, "GetSecretValue", "SecretName", "acs:kms:cn-hangzhou:"+theirs+":secret/x")
	b.as(person{keyID: canary, secret: "x"}, "GetSecretValue", "SecretName", "s")
	b.as(theRoot, canary, "SecretName", "s")
	b.as(theRoot, "GetSecretValue", "SecretName", canary+" ")
	got := b.control(http.MethodGet, "requests", "")
	for _, never := range []string{canary, app.token, app.secret, "reader-secret"} {
		if strings.Contains(got, never) {
			t.Errorf("the journal holds %q", never)
		}
	}
	var all []Request
	if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "200 ")), &all); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range all {
		r.Time = time.Time{}
		lines = append(lines, fmt.Sprint(r.Action, " ", r.Secret, " ", r.Resource, " ", r.Caller, " ", r.Status, " ", r.Code))
	}
	const ram, kms = "acs:ram::" + ours + ":", "acs:kms:cn-hangzhou:" + ours + ":"
	want := []string{
		"CreateSecret s " + kms + "secret " + ram + "root 200 ",
		"AssumeRole  " + appRole + " " + ram + "user/reader 200 ",
		"GetSecretValue s " + kms + "secret/s " + ram + "assumed-role/app/test 200 ",
		"GetSecretValue x acs:kms:cn-hangzhou:" + theirs + ":secret/x " + ram + "user/reader 403 Forbidden.NoPermission",
		"GetSecretValue    404 InvalidAccessKeyId.NotFound",
		"    404 InvalidAction.NotFound",
		"GetSecretValue   " + ram + "root 400 InvalidParameter",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("journal\n got %s\nwant %s", got, strings.Join(want, "\n"))
	}
	if got := b.control(http.MethodDelete, "requests", ""); got != "200 []" {
		t.Errorf("DELETE = %s, want 200 []", got)
	}
}

func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	var j journal
	for i := range maxJournal + 5 {
		j.add(Request{Status: i})
	}
	all := j.list()
	if len(all) != maxJournal || all[0].Status != 5 || all[maxJournal-1].Status != maxJournal+4 {
		t.Errorf("%d calls from %d to %d, want the last %d in order", len(all), all[0].Status, all[len(all)-1].Status, maxJournal)
	}
}

func TestControlGuard(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(New(Config{}))
	t.Cleanup(server.Close)
	for _, tc := range []struct {
		path, host, header, value string
		want                      int
	}{
		{"clock", "", "", "", 200},
		{"clock", "localhost:1", "", "", 200},
		{"clock", "[::1]:1", "", "", 200},
		{"clock", "evil.test", "", "", 403},
		{"clock", "127.0.0.1.evil.test:80", "", "", 403},
		{"clock", "", "Sec-Fetch-Site", "cross-site", 403},
		{"clock", "", "Origin", "https://evil.test", 403},
		{"../credentials/app", "evil.test", "", "", 403},
	} {
		method := http.MethodPost
		if strings.HasPrefix(tc.path, "..") {
			method = http.MethodGet
		}
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/_emulator/"+tc.path, strings.NewReader(`{"advance":"1s"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path = strings.ReplaceAll(r.URL.Path, "/_emulator/..", "")
		r.Host = tc.host
		if tc.header != "" {
			r.Header.Set(tc.header, tc.value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tc.want {
			t.Errorf("%+v = %d, want %d", tc, resp.StatusCode, tc.want)
		}
	}
}
