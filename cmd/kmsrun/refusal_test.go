package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	sdkkms "github.com/aliyun/alibaba-cloud-sdk-go/services/kms"

	"github.com/kmsrun/kmsrun/emulator"
)

// operator is somebody with the SDK and the account's access key.
func (s *service) operator(t *testing.T) *sdkkms.Client {
	t.Helper()
	client, err := sdkkms.NewClientWithAccessKey("cn-hangzhou", "emulator", canary("access-key-secret"))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (s *service) schedule(t *testing.T, name string) {
	t.Helper()
	r := sdkkms.CreateDeleteSecretRequest()
	r.Scheme, r.Domain, r.SecretName, r.RecoveryWindowInDays = "http", s.address, name, "7"
	if _, err := s.operator(t).DeleteSecret(r); err != nil {
		t.Fatal(err)
	}
}

func (s *service) restore(t *testing.T, name string) {
	t.Helper()
	r := sdkkms.CreateRestoreSecretRequest()
	r.Scheme, r.Domain, r.SecretName = "http", s.address, name
	if _, err := s.operator(t).RestoreSecret(r); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedWhileRunning: whatever is done to a secret, the running program keeps what
// it has; each change of state is one line, each kind is counted; a start tells the
// reason and does not happen.
func TestRefusedWhileRunning(t *testing.T) {
	t.Parallel()
	for kind, test := range map[string]struct {
		refuse, mend func(t *testing.T, s *service)
		why          string // of a start
		shared       bool   // one cause for all secrets
	}{
		"clock_skew": {
			func(t *testing.T, s *service) {
				if err := s.Fault(emulator.Fault{Kind: "clock-skew"}); err != nil {
					t.Fatal(err)
				}
			},
			func(_ *testing.T, s *service) { s.ClearFaults() },
			`kmsrun: env DB, env OTHER: reading 2 secrets: clock skew \(`,
			true,
		},
		"access_denied": {
			func(t *testing.T, s *service) {
				if err := s.Fault(emulator.Fault{Action: "GetSecretValue", Secret: "db", Kind: "denied"}); err != nil {
					t.Fatal(err)
				}
			},
			func(_ *testing.T, s *service) { s.ClearFaults() },
			`kmsrun: env DB: reading secret "db": access denied \(Forbidden\.NoPermission, request \S+\): grant kms:GetSecretValue on `,
			false,
		},
		"scheduled_for_deletion": {
			func(t *testing.T, s *service) { s.schedule(t, "db") },
			func(t *testing.T, s *service) { s.restore(t, "db") },
			`kmsrun: env DB: reading secret "db": scheduled for deletion \(Rejected\.ResourceInDeleteWindow, request \S+\): `,
			false,
		},
		"not_found": {
			func(t *testing.T, s *service) { s.remove(t, "db") },
			func(t *testing.T, s *service) { s.put(t, "db", "v1", "one") },
			`kmsrun: env DB: reading secret "db": not found \(Forbidden\.ResourceNotFound, request \S+\): `,
			false,
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.put(t, "db", "v1", "one")
			s.put(t, "other", "v1", "left")
			environ := s.environ("DB=kms://db", "OTHER=kms://other", "KMSRUN_CONFIG="+absolute(t, "testdata/fast.yaml"))
			socket := filepath.Join(shm(t), "http.sock")
			r := start(t, environ, "exec", "--listen", "unix:"+socket, "--", "sh", "-c", `trap 'exit 0' TERM; echo "given $DB $OTHER"; while :; do sleep 0.05; done`)
			r.awaitOutput("given one left\n")
			test.refuse(t, s)
			r.await("a few refusals by kind", func() bool {
				n := metric(t, socket, `kmsrun_secret_read_failures_total{kind="`+kind+`",secret="db",stage="ACSCurrent"}`)
				return n != "" && n != "1" && n != "2"
			})
			if status, _ := get(t, socket, "GET", "/readyz"); status != 200 {
				t.Errorf("/readyz: got %d, want 200", status)
			}
			if got := metric(t, socket, "kmsrun_kms_up"); got != "1" {
				t.Errorf("kmsrun_kms_up: got %s, want 1: a refusal is no outage", got)
			}
			again := start(t, environ, "exec", "--", "echo", "started")
			if got := again.wait(); got != 125 || again.out.String() != "" || !regexp.MustCompile(test.why).MatchString(again.err.String()) {
				t.Errorf("a start: got status %d, output %q; want 125 and %s in\n%s", got, again.out.String(), test.why, again.err.String())
			}
			test.mend(t, s)
			begins, ends := "a secret can't be read; keeping its present value", `msg="the secret can be read again" secret=kms://db`
			if test.shared {
				begins, ends = "secrets can't be read; keeping their present values", `msg="these secrets can be read again"`
			}
			r.await("the line about the end", func() bool { return strings.Contains(r.err.String(), ends) })
			s.put(t, "db", "v2", "two")
			r.awaitOutput("given two left\n")
			r.end(t)
			if got := r.out.String(); got != "given one left\ngiven two left\n" {
				t.Errorf("the program was touched: got %q", got)
			}
			for line, want := range map[string]int{begins: 1, ends: 1, "level=WARN": 1, "KMS can't be read": 0} {
				if got := strings.Count(r.err.String(), line); got != want {
					t.Errorf("lines with %q: got %d, want %d in\n%s", line, got, want, r.err.String())
				}
			}
		})
	}
}
