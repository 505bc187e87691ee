package emulator

import (
	"net/http"
	"strings"
	"time"
)

const (
	credentialsPath    = "/credentials/"
	credentialsSession = "credentials-uri"
)

// serveCredentials is what ALIBABA_CLOUD_CREDENTIALS_URI may point at: a session of the role that the path names, one of
// the default account or any by its ARN. Nobody is asked who he is, as at such URIs everywhere: whoever reaches the port
// may have it.
func (e *Emulator) serveCredentials(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		plainText(w, http.StatusMethodNotAllowed, "")
		return
	}
	account, name := e.account, strings.TrimPrefix(r.URL.Path, credentialsPath)
	if number, resource, ok := splitRAM(name); ok {
		account = number
		name, _ = strings.CutPrefix(resource, "role/")
	}
	if _, ok := e.directory.role(account, name); !ok || !ramName.MatchString(name) {
		plainText(w, http.StatusNotFound, "no such role\n")
		return
	}
	write(w, http.StatusOK, "", e.handOut(session{Account: account, Role: name, Name: credentialsSession}, stsLife*time.Second))
}
