package kms

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// What is wrong underneath us, and the tests that it does not come through:
//
//	plain http by default: TestSchemes
//	a client that no two goroutines may share, maps filled without a lock: TestGetConcurrently, TestMany under -race
//	a transport that is changed at each call: TestHTTP2
//	requests that keep what an earlier one asked: TestRequestsAreFresh
//	retries without a pause: TestOneTryPerCall
//	a regular expression compiled at each call, plaintext kept with the answer: TestSlotsForget
//	panics on odd bodies, "success" without a secret, bodies without end, texts that quote: TestAnswers, TestErrorText, TestEmulatorFaults
//	redirects that carry a signature away: TestRedirects
//	NO_PROXY as regular expressions, proxies that fail every call: TestProxyVariables, TestNoProxyNetworks
//	metadata through a proxy: TestMetadataBypassesProxies
//	no deadline, no cancelling: TestBrokenExchange, TestCancelAnyMoment
//	providers that panic: TestBridgeOutlivesAPanic
//	a chain that sticks, or slides on to another identity: TestChainStays, TestChainStopsAtWhatIsSetUp, TestChainKnowsAnOutage
//	profile files rewritten by who reads them: TestProfileFilesStayAsTheyAre
//	a clock that is off: TestClock
//	DEBUG, keys in the environment, output on stdout: the scripts and canaries of cmd/kmsrun
//	default clients, kms.NewClient, plaintext in a URL: TestTrapsInSources, in the root
//	binary values: TestRenderBinary, in render; a binary that swells: TestBinarySize, in cmd/kmsrun
//	tests that find a real instance's metadata: test/loopback.sh, in make test

func TestSchemes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ endpoint, network, scheme, host string }{
		{"", "public", "https", "kms.cn-hangzhou.aliyuncs.com"},
		{"", "vpc", "https", "kms-vpc.cn-hangzhou.aliyuncs.com"},
		{"kst-1.cryptoservice.kms.aliyuncs.com", "public", "https", "kst-1.cryptoservice.kms.aliyuncs.com"},
		{"https://kms.example.com", "vpc", "https", "kms.example.com"},
		{"http://127.0.0.1:1", "public", "http", "127.0.0.1:1"},
	} {
		settings := settingsFor(test.endpoint)
		settings.Network = test.network
		scheme, host := settings.URL("cn-hangzhou")
		if scheme != test.scheme || host != test.host {
			t.Errorf("%q, %s: got %s://%s, want %s://%s", test.endpoint, test.network, scheme, host, test.scheme, test.host)
		}
	}
}

// recorder answers like KMS and keeps the queries and protocols of the requests.
type recorder struct {
	mu        sync.Mutex
	status    int
	queries   []url.Values
	protocols []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries = append(r.queries, request.URL.Query())
	r.protocols = append(r.protocols, request.Proto)
	if r.status != 0 {
		w.WriteHeader(r.status)
	}
	_, _ = io.WriteString(w, goodAnswer)
}

// TestHTTP2 wants our roots and our protocol to survive any number of calls.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	server, settings, _ := secureServer(t, 0)
	r := &recorder{}
	server.Config.Handler = r
	c := newClient(t, settings, withToken())
	for range 3 {
		if _, err := c.Get(t.Context(), current); err != nil {
			t.Fatal(err)
		}
	}
	for _, got := range r.protocols {
		if want := "HTTP/2.0"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestRequestsAreFresh: nothing of one call is in the next, on the same slot.
func TestRequestsAreFresh(t *testing.T) {
	t.Parallel()
	r := &recorder{}
	c := newClient(t, settingsFor(serve(t, r).URL), withToken())
	ids := []secret.ID{current, {Name: "prod/db", Version: "v1"}, current}
	nonces := map[string]bool{}
	for i, id := range ids {
		if _, err := c.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		q := r.queries[i]
		if q.Get("VersionStage") != id.Stage || q.Get("VersionId") != id.Version || q.Has("VersionId") != (id.Version != "") {
			t.Errorf("%v: asked for stage %q and version %q", id, q["VersionStage"], q["VersionId"])
		}
		nonces[q.Get("SignatureNonce")] = true
	}
	if got, want := len(nonces), len(ids); got != want {
		t.Errorf("nonces: got %d, want %d", got, want)
	}
}

// TestSlotsForget: a slot serves call after call, and keeps nothing of any.
func TestSlotsForget(t *testing.T) {
	t.Parallel()
	c := newClient(t, settingsFor(serve(t, &recorder{}).URL), withToken())
	var slots []*slot
	fresh := c.slots.New
	c.slots.New = func() any {
		s := fresh().(*slot)
		slots = append(slots, s)
		return s
	}
	const calls = 40
	for range calls {
		if _, err := c.Get(t.Context(), current); err != nil {
			t.Fatal(err)
		}
	}
	if len(slots) == calls { // some are made anew, as sync.Pool likes it
		t.Errorf("every call has made a slot")
	}
	for _, s := range slots {
		if s.ctx != nil || s.keys.id != "" || s.keys.secret != nil || s.answer.header != nil {
			t.Error("a slot holds something of its last call")
		}
	}
}

func TestOneTryPerCall(t *testing.T) {
	t.Parallel()
	r := &recorder{status: http.StatusServiceUnavailable}
	_, err := newClient(t, settingsFor(serve(t, r).URL), withToken()).Get(t.Context(), current)
	failure(t, err, Unavailable)
	if got := len(r.queries); got != 1 {
		t.Errorf("requests: got %d, want 1", got)
	}
}

// TestNoProxyNetworks asks a process of its own, since net/http reads the variables
// once. Nothing is dialled.
func TestNoProxyNetworks(t *testing.T) {
	if os.Getenv("KMSRUN_TEST_NO_PROXY") != "" {
		for _, host := range []string{"10.1.2.3", "11.1.2.3", "kms.internal", "kms.internal.example", config.MetadataHost} {
			r, _ := http.NewRequest(http.MethodGet, "https://"+host+"/", nil)
			proxy, err := proxyFor(r)
			fmt.Println(host, proxy, err)
		}
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoProxyNetworks$")
	cmd.Env = []string{"KMSRUN_TEST_NO_PROXY=1", "HTTPS_PROXY=http://127.0.0.1:3", "NO_PROXY=10.0.0.0/8,.internal,"}
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	want := "10.1.2.3 <nil> <nil>\n11.1.2.3 http://127.0.0.1:3 <nil>\nkms.internal <nil> <nil>\n" +
		"kms.internal.example http://127.0.0.1:3 <nil>\n" + config.MetadataHost + " <nil> <nil>\n"
	if got := string(output); !strings.HasPrefix(got, want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestProfileFilesStayAsTheyAre: other programs' files are read only.
func TestProfileFilesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	_, server := cloud(t, 0)
	const profiles = `{"current":"x","future":1,"profiles":[{"name":"x","mode":"AK","access_key_id":"app","access_key_secret":"` + keySecret + `","unknown":{"a":1}},` +
		`{"name":"o","mode":"OAuth","oauth_refresh_token":"t"}]}`
	file := write(t, "config.json", profiles)
	for _, profile := range []string{"x", "o"} {
		c, _ := loginClient(t, server, environment("ALIBABA_CLOUD_CONFIG_FILE="+file), map[string]config.Auth{config.DefaultAuth: {Type: "profile", Profile: profile}})
		_, _ = c.Get(t.Context(), current)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != profiles {
		t.Errorf("got %s, %v", got, err)
	}
}
