package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const nginxConf = `
worker_processes 2;
user root;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log info;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	server {
		listen 127.0.0.1:%[2]d ssl;
		ssl_certificate %[3]s/tls.crt;
		ssl_certificate_key %[3]s/tls.key;
		location / { return 200 "hello\n"; }
	}
}
`

// TestNginx rotates the certificate of a real nginx under load: every client gets
// an answer, new clients get the new certificate, and a reader of the files never
// sees half of a pair.
func TestNginx(t *testing.T) {
	t.Parallel()
	path, err := exec.LookPath("nginx")
	need(t, err == nil, "nginx")
	s := newService(t)
	s.put(t, "web/tls", "serial-1", pair(t, 1))
	dir, files, port := t.TempDir(), filepath.Join(shm(t), "files"), freePort(t)
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, port, files), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, s.environ("KMSRUN_CONFIG="+absolute(t, "testdata/nginx.yaml")),
		"exec", "--dir", files, "-f", "tls.crt=kms://web/tls#crt", "-f", "tls.key=kms://web/tls#key", "--on-file-change", "SIGHUP",
		"--", path, "-c", conf, "-g", "daemon off;")
	address := "127.0.0.1:" + strconv.Itoa(port)
	r.await("nginx", func() bool { return serial(address) == 1 })

	var load sync.WaitGroup
	var stop atomic.Bool
	var requests, reads atomic.Int64
	failures := make(chan error, 1000)
	for range 2 {
		load.Go(func() {
			for !stop.Load() {
				requests.Add(1)
				if err := hello(address); err != nil {
					failures <- err
				}
			}
		})
	}
	load.Go(func() {
		for !stop.Load() {
			reads.Add(1)
			if err := readPair(files); err != nil {
				failures <- err
			}
		}
	})
	for n := int64(2); n <= 6; n++ {
		s.put(t, "web/tls", "serial-"+strconv.FormatInt(n, 10), pair(t, n))
		put := time.Now()
		r.await("the new certificate", func() bool { return serial(address) == n })
		t.Logf("certificate %d seen %s after it was put", n, time.Since(put).Round(time.Millisecond))
	}
	stop.Store(true)
	load.Wait()
	close(failures)
	for err := range failures {
		t.Errorf("during the rotations: %v", err)
	}
	t.Logf("%d requests, each on a new connection, and %d reads of the pair", requests.Load(), reads.Load())
	if err := r.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(); got != 0 {
		t.Errorf("exit status: got %d, want 0; stderr:\n%s", got, r.err.String())
	}
}

// pair is a certificate of the given serial number and its key, as one JSON secret.
func pair(t *testing.T, serial int64) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	value, err := json.Marshal(map[string]string{
		"crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

var trusting = &tls.Config{InsecureSkipVerify: true} // the certificates are self-signed: their serial number is the point

// serial is the serial number of the certificate that a new client gets; 0 if none.
func serial(address string) int64 {
	conn, err := tls.Dial("tcp", address, trusting)
	if err != nil {
		return 0
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// hello is one request on a connection of its own.
func hello(address string) error {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: trusting, DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get("https://" + address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "hello\n" {
		return fmt.Errorf("answer %q, %w", body, err)
	}
	return nil
}

// readPair opens ..data once and reads both files through it.
func readPair(files string) error {
	root, err := os.OpenRoot(filepath.Join(files, "..data"))
	if err != nil {
		return err
	}
	defer root.Close()
	crt, err := root.ReadFile("tls.crt")
	if err != nil {
		return err
	}
	key, err := root.ReadFile("tls.key")
	if err != nil {
		return err
	}
	_, err = tls.X509KeyPair(crt, key) // fails unless they belong together
	return err
}
