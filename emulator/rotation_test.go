package emulator

import (
	"strings"
	"testing"
	"time"
)

// described returns what DescribeSecret tells of rotation.
func (b *bench) described(name string) string {
	b.t.Helper()
	var reply describeReply
	decode(b.t, b.must("DescribeSecret", "SecretName", name), &reply)
	r := reply.rotationReply
	return strings.Join([]string{r.AutomaticRotation, r.RotationInterval, r.LastRotationDate, r.NextRotationDate}, " ")
}

func TestAutomaticRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t) // it is 2026-01-02T03:04:05Z
	b.sample("Rds DoubleUsers", "EnableAutomaticRotation", "true", "RotationInterval", "48h")
	for _, tc := range []struct {
		pass           time.Duration
		account, dates string
		versions       int
	}{
		{0, "a", "Enabled 172800s  2026-01-04T03:04:05Z", 1},
		{2*day - time.Second, "a", "Enabled 172800s  2026-01-04T03:04:05Z", 1},
		{time.Second, "b", "Enabled 172800s 2026-01-04T03:04:05Z 2026-01-06T03:04:05Z", 2},
		{4 * day, "b", "Enabled 172800s 2026-01-08T03:04:05Z 2026-01-10T03:04:05Z", 4},                       // two at once
		{200*day - time.Hour, "a", "Enabled 172800s 2026-07-25T03:04:05Z 2026-07-27T03:04:05Z", maxVersions}, // 99 at once
	} {
		b.pass(tc.pass)
		got := b.value("s", "")
		if !strings.Contains(got.SecretData, `"AccountName":"`+tc.account+`"`) {
			t.Errorf("after %v the account is not %s", tc.pass, tc.account)
		}
		if got := b.described("s"); got != tc.dates {
			t.Errorf("after %v: rotation %q, want %q", tc.pass, got, tc.dates)
		}
		if got := len(strings.Fields(b.stages())); got < tc.versions {
			t.Errorf("after %v: versions %q, want at least %d", tc.pass, b.stages(), tc.versions)
		}
	}
	if a, b := b.value("s", "").SecretData, b.value("s", stagePrevious).SecretData; a == b || strings.Contains(b, `"a"`) {
		t.Error("ACSPrevious does not have the other account")
	}
}

func TestRotationPolicy(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sample("Rds SingleUser")
	if got, want := b.described("s"), "Disabled   "; got != want {
		t.Errorf("created: rotation %q, want %q", got, want)
	}
	b.pass(day)
	for _, tc := range []struct{ enable, interval, want, id string }{
		{"true", "7d", "Enabled 604800s  2026-01-09T03:04:05Z", "v1"},
		{"true", "6h", "Enabled 21600s 2026-01-03T03:04:05Z 2026-01-03T09:04:05Z", ""}, // due in the past: at once
		{"true", "365d", "Enabled 31536000s 2026-01-03T03:04:05Z 2027-01-03T03:04:05Z", ""},
		{"false", "", "Disabled  2026-01-03T03:04:05Z ", ""},
	} {
		b.must("UpdateSecretRotationPolicy", "SecretName", "s", "EnableAutomaticRotation", tc.enable, "RotationInterval", tc.interval)
		if got := b.described("s"); got != tc.want {
			t.Errorf("%s %s: rotation %q, want %q", tc.enable, tc.interval, got, tc.want)
		}
		if got := b.value("s", "").VersionID; (got == "v1") != (tc.id == "v1") {
			t.Errorf("%s %s: version %s", tc.enable, tc.interval, got)
		}
	}
}

func TestDeleteWindowStopsRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.sample("Rds SingleUser", "EnableAutomaticRotation", "true", "RotationInterval", "7d")
	b.must("DeleteSecret", "SecretName", "s")
	b.pass(20 * day)
	if got, want := b.described("s"), "Enabled 604800s  2026-01-09T03:04:05Z"; got != want {
		t.Errorf("in the window: rotation %q, want %q", got, want)
	}
	b.must("RestoreSecret", "SecretName", "s")
	if got, want := b.described("s"), "Enabled 604800s 2026-01-22T03:04:05Z 2026-01-29T03:04:05Z"; got != want {
		t.Errorf("restored: rotation %q, want %q", got, want)
	}
}

func TestAccessKeyOverlap(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	name, _ := b.sample("RAMCredentials RamUserAccessKey")
	rotate := func(id string) string {
		status, body := b.call("RotateSecret", "SecretName", name, "VersionId", id)
		return code(t, status, body)
	}
	for _, tc := range []struct {
		pass     time.Duration
		id, want string
	}{
		{0, "v2", "200 "},
		{0, "v2", "200 "}, // repeated
		{keyOverlap - time.Second, "v3", "409 Rejected.ResourceInUse"},
	} {
		b.pass(tc.pass)
		if got := rotate(tc.id); got != tc.want {
			t.Errorf("RotateSecret %s = %s, want %s", tc.id, got, tc.want)
		}
	}
	if got, want := b.value(name, stagePrevious).VersionID, "v1"; got != want {
		t.Errorf("ACSPrevious = %s, want %s", got, want)
	}
	b.pass(time.Second)
	status, body := b.call("GetSecretValue", "SecretName", name, "VersionStage", stagePrevious)
	if got, want := code(t, status, body), "404 Forbidden.ResourceNotFound"; got != want {
		t.Errorf("ACSPrevious after the overlap = %s, want %s", got, want)
	}
	if got, want := b.value(name, "").VersionID, "v2"; got != want {
		t.Errorf("ACSCurrent = %s, want %s", got, want)
	}
	// Automatic rotation waits for the overlap too.
	b.must("RotateSecret", "SecretName", name, "VersionId", "v3") // at 2026-01-04T03:04:05Z
	b.must("UpdateSecretRotationPolicy", "SecretName", name, "EnableAutomaticRotation", "true", "RotationInterval", "6h")
	if got, want := b.described(name), "Enabled 21600s 2026-01-04T03:04:05Z 2026-01-06T03:04:05Z"; got != want {
		t.Errorf("rotation %q, want %q", got, want)
	}
	b.pass(100 * day)
	if got, want := len(b.described(name)), len("Enabled 21600s 2026-01-04T03:04:05Z 2026-01-06T03:04:05Z"); got != want {
		t.Errorf("rotation %q", b.described(name))
	}
	if got, want := b.value(name, "").VersionStages.VersionStage[0], stageCurrent; got != want {
		t.Errorf("stage %s, want %s", got, want)
	}
}

// A leap of the clock makes the same dates as many small steps, also where an overlap holds rotations up.
func TestLeapsAreLikeSteps(t *testing.T) {
	t.Parallel()
	const config = `{"SecretSubType":"RamUserAccessKey","UserName":"app"}`
	last := func(steps int, step time.Duration) string {
		b := newBench(t)
		b.must("CreateSecret", "SecretName", "$Auto", "VersionId", "v1", "SecretType", "RAMCredentials", "ExtendedConfig", config,
			"SecretData", `{"AccessKeys":[{"AccessKeyId":"id","AccessKeySecret":"`+canary+`"}]}`,
			"EnableAutomaticRotation", "true", "RotationInterval", "6h")
		var reply describeReply
		for range steps {
			if err := b.Advance(step); err != nil {
				t.Fatal(err)
			}
			decode(t, b.must("DescribeSecret", "SecretName", "acs/ram/user/app"), &reply)
		}
		return reply.LastRotationDate + " " + reply.NextRotationDate
	}
	for _, days := range []int{1, 4, 40} {
		if got, want := last(1, time.Duration(days)*day), last(4*days, 6*time.Hour); got != want {
			t.Errorf("%d days at once: %s, want %s", days, got, want)
		}
	}
}
