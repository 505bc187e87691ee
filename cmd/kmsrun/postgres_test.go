//go:build linux

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// database is a real PostgreSQL that asks for passwords.
type database struct {
	t         *testing.T
	bin, port string
}

const adminPassword = "admin-of-the-test"

// startDatabase runs one as its own user, since it refuses to run as root.
func startDatabase(t *testing.T) *database {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	need(t, len(found) > 0, "PostgreSQL (make deps installs it)")
	db := &database{t: t, bin: filepath.Dir(found[0]), port: strconv.Itoa(freePort(t))}
	dir, err := os.MkdirTemp("", "kmsrun-postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(adminPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	owner := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		owner.Credential = postgresUser(t)
		for _, path := range []string{dir, password} {
			if err := os.Chown(path, int(owner.Credential.Uid), int(owner.Credential.Gid)); err != nil {
				t.Fatal(err)
			}
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(db.bin, "initdb"), "-D", data, "-U", "admin", "--auth=scram-sha-256", "--pwfile="+password, "--no-sync", "--locale=C")
	initdb.SysProcAttr, initdb.Dir = &syscall.SysProcAttr{Credential: owner.Credential}, dir
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	server := exec.Command(filepath.Join(db.bin, "postgres"), "-D", data, "-p", db.port, "-h", "127.0.0.1", "-k", "", "-F")
	server.SysProcAttr, server.Dir = &syscall.SysProcAttr{Credential: owner.Credential}, dir
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // at once
		_ = server.Wait()
	})
	for deadline := time.Now().Add(patience); db.query("admin", adminPassword, "select 1") != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for PostgreSQL")
		}
	}
	return db
}

func postgresUser(t *testing.T) *syscall.Credential {
	t.Helper()
	account, err := user.Lookup("postgres")
	need(t, err == nil, "user postgres, as whom PostgreSQL would run for root")
	uid, _ := strconv.ParseUint(account.Uid, 10, 32)
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (db *database) query(name, password, text string) error {
	cmd := exec.Command(filepath.Join(db.bin, "psql"), "-X", "-h", "127.0.0.1", "-p", db.port, "-U", name, "-d", "postgres", "-c", text)
	cmd.Env = []string{"PGPASSWORD=" + password, "PGCONNECT_TIMEOUT=10"}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// rotate gives the user of the program another password.
func (db *database) rotate(password string) {
	db.t.Helper()
	if err := db.query("admin", adminPassword, "alter user app password '"+password+"'"); err != nil {
		db.t.Fatal(err)
	}
}

const postgresDeclaration = `
env: {PGPASSWORD: kms://db}
watch: {interval: 200ms, debounce: 0s}
on_change: {min_interval: 0s}
health: {settle: 200ms, within: 2s, interval: 100ms, exec: [%[1]s, -X, -h, 127.0.0.1, -p, "%[2]s", -U, app, -d, postgres, -c, select 1]}
child: {stop_timeout: 2s}
http: {listen: "unix:%[3]s"}
`

// serving is a program that works with the database all the time.
const serving = `trap 'exit 0' TERM; echo started
while :; do
	if %[1]s -X -h 127.0.0.1 -p %[2]s -U app -d postgres -c 'select 1' >/dev/null 2>&1; then echo served; else echo refused; fi
	sleep 0.02
done`

// TestPostgres rotates to a password that a real database does not accept. That is
// undone, the program serves on, and the next good version is taken.
func TestPostgres(t *testing.T) {
	t.Parallel()
	db := startDatabase(t)
	one, two, three := canary("one"), canary("two"), canary("three")
	if err := db.query("admin", adminPassword, "create user app password '"+one+"'"); err != nil {
		t.Fatal(err)
	}
	s := newService(t)
	s.put(t, "db", "v1", one)
	file, socket := filepath.Join(t.TempDir(), "kmsrun.yaml"), filepath.Join(shm(t), "http.sock")
	psql := filepath.Join(db.bin, "psql")
	if err := os.WriteFile(file, fmt.Appendf(nil, postgresDeclaration, psql, db.port, socket), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, s.environ(), "exec", "-c", file, "--", "sh", "-c", fmt.Sprintf(serving, psql, db.port))
	r.awaitOutput("started\nserved\n")

	s.put(t, "db", "v2", two) // and the database was not told
	began := time.Now()
	r.awaitOutput("started\nrefused\n")
	r.await("the rollback", func() bool {
		_, text := get(t, socket, http.MethodGet, "/metrics")
		return strings.Contains(text, `kmsrun_generations_total{result="rolled_back"} 1`)
	})
	undone := time.Since(began)
	r.await("service again", func() bool {
		last := r.out.String()[strings.LastIndex(r.out.String(), "started\n"):]
		return strings.Count(r.out.String(), "started\n") == 3 && strings.HasPrefix(last, "started\nserved\n")
	})
	t.Logf("undone %s after the rotation, serving again after %s", undone.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if _, status := get(t, socket, http.MethodGet, "/status"); !strings.Contains(status, "db version v2: the health check did not pass within 2s") {
		t.Errorf("the status does not tell: %s", status)
	}

	db.rotate(three)
	s.put(t, "db", "v3", three)
	r.await("service with the next version", func() bool {
		return strings.Count(r.out.String(), "started\n") == 4 && strings.HasSuffix(r.out.String(), "served\n")
	})
	r.await("the program to settle", func() bool { return strings.Contains(r.err.String(), "does well with the new secrets") })
	_, status := get(t, socket, http.MethodGet, "/status")
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0", got)
	}
	if strings.Contains(status, "held") {
		t.Errorf("still held: %s", status)
	}
	if text := r.err.String() + status; strings.Contains(text, "canary") {
		t.Errorf("a value is told:\n%s", text)
	}
}
