package emulator

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	metadataPath = "/latest/"
	ttlHeader    = "X-Aliyun-Ecs-Metadata-Token-Ttl-Seconds"
	tokenHeader  = "X-Aliyun-Ecs-Metadata-Token"
	imdsPurpose  = "metadata token"
	maxIMDS      = 21600         // seconds that a metadata token lives at most
	ecsLife      = 6 * time.Hour // of an instance's credentials
	ecsSession   = "i-emulator"
)

// serveMetadata is what an ECS instance with a role finds at 100.100.100.200.
func (e *Emulator) serveMetadata(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/latest/api/token" {
		e.serveMetadataToken(w, r)
		return
	}
	if r.Method != http.MethodGet {
		plainText(w, http.StatusMethodNotAllowed, "")
		return
	}
	// Which status a wrong token has is not documented; a missing one has 403.
	if token := r.Header.Get(tokenHeader); token != "" && !e.metadataTokenHolds(token) || token == "" && !e.imdsV1 {
		plainText(w, http.StatusForbidden, "")
		return
	}
	switch role := e.ecsRole; r.URL.Path {
	case "/latest/meta-data/region-id":
		plainText(w, http.StatusOK, e.region)
	case "/latest/meta-data/ram/security-credentials/", "/latest/meta-data/ram/security-credentials":
		plainText(w, http.StatusOK, role)
	case "/latest/meta-data/ram/security-credentials/" + role:
		write(w, http.StatusOK, "", e.handOut(session{Account: e.account, Role: role, Name: ecsSession}, ecsLife))
	default:
		plainText(w, http.StatusNotFound, "")
	}
}

// serveMetadataToken hands out a token of IMDSv2. It holds its own end, under a seal.
func (e *Emulator) serveMetadataToken(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPut {
		plainText(w, http.StatusMethodNotAllowed, "")
		return
	}
	ttl, err := strconv.Atoi(r.Header.Get(ttlHeader))
	if err != nil || ttl < 1 || ttl > maxIMDS {
		plainText(w, http.StatusBadRequest, "")
		return
	}
	until := e.clock.now().Add(time.Duration(ttl) * time.Second).UTC().Format(time.RFC3339Nano)
	plainText(w, http.StatusOK, e.sealer.seal(imdsPurpose, until))
}

func (e *Emulator) metadataTokenHolds(token string) bool {
	text, ok := e.sealer.open(imdsPurpose, token)
	until, err := time.Parse(time.RFC3339Nano, text)
	return ok && err == nil && e.clock.now().Before(until)
}

// handedOut is the form in which credentials are had without a signature.
type handedOut struct {
	stsCredentials
	LastUpdated string `json:"LastUpdated"`
	Code        string `json:"Code"`
}

func (e *Emulator) handOut(s session, life time.Duration) handedOut {
	return handedOut{stsCredentials: e.begin(s, life), LastUpdated: stamp(e.clock.now()), Code: "Success"}
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = io.Copy(w, strings.NewReader(text)) // a client that has gone away is not our fault
}
