package kms

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kmsrun/kmsrun/config"
)

// TestTornFiles: an id and a secret that were read while somebody renewed them do not
// match, and are read again at once.
func TestTornFiles(t *testing.T) {
	t.Parallel()
	id, file := write(t, "id", keyID), write(t, "secret", "the one before")
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got, err := os.ReadFile(file); err == nil && string(got) != keySecret {
			if err := os.WriteFile(file, []byte(keySecret), 0o600); err != nil { // the renewal goes on
				t.Error(err)
			}
			answering(http.StatusBadRequest, kmsError("SignatureDoesNotMatch")).ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, goodAnswer)
	}))
	c, _ := loginClient(t, server, environment(), map[string]config.Auth{
		config.DefaultAuth: {Type: "access_key", AccessKeyIDFile: id, AccessKeySecretFile: file},
	})
	if _, err := c.Get(t.Context(), current); err != nil {
		t.Error(err)
	}
}

// TestPipeForAFile: nobody writes to it.
func TestPipeForAFile(t *testing.T) {
	t.Parallel()
	pipe := t.TempDir() + "/id"
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := loginClient(t, serve(t, answering(http.StatusOK, goodAnswer)), environment(),
		map[string]config.Auth{config.DefaultAuth: {Type: "access_key", AccessKeyIDFile: pipe, AccessKeySecretFile: pipe}})
	_, err := c.Get(t.Context(), current)
	failure(t, err, NoCredentials)
}

// TestHungFile: a volume that hangs costs one thread for each file, not one for each try,
// and its files are read again when it is back.
func TestHungFile(t *testing.T) {
	t.Parallel()
	var reads atomic.Int64
	back := make(chan struct{})
	files := fileReads{from: func(path string) loginFile {
		reads.Add(1)
		<-back
		return readRegular(path)
	}}
	path := write(t, "token", "one")
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_, err := files.read(ctx, path)
		failure(t, err, Unavailable)
		cancel()
	}
	if got := reads.Load(); got != 1 {
		t.Errorf("reads that hang: got %d, want 1", got)
	}
	close(back)
	for range 2 {
		if file, err := files.read(t.Context(), path); err != nil || string(file.text) != "one" {
			t.Errorf("got %q, %v", file.text, err)
		}
	}
	if got := reads.Load(); got < 2 {
		t.Errorf("reads: got %d, want one more at least", got)
	}
}

// TestTokenFileIsReadAgain at each refresh, since the kubelet renews it.
func TestTokenFileIsReadAgain(t *testing.T) {
	t.Parallel()
	var sent []string
	sts := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.FormValue("OIDCToken"))
		_, _ = io.WriteString(w, `{"Credentials":`+fmt.Sprintf(sessionBody, len(sent), "2099-01-01T00:00:00Z")+`}`)
	}))
	token := write(t, "token", "one\n")
	c, _ := loginClient(t, serve(t, answering(http.StatusOK, goodAnswer)), environment(), map[string]config.Auth{
		config.DefaultAuth: {Type: "oidc", RoleARN: readerRole, OIDCProviderARN: providerARN, OIDCTokenFile: token, STSEndpoint: sts.URL},
	})
	b := c.profiles[config.DefaultAuth].bridge
	first, err := b.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(token, []byte("two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := b.replace(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one", "two"}; !slices.Equal(sent, want) {
		t.Errorf("got tokens %q, want %q", sent, want)
	}
}
