package kms

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kmsrun/kmsrun/config"
	"github.com/kmsrun/kmsrun/secret"
)

// everywhere is a server that stands for every region; down are those out of reach.
type everywhere struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
	down  []string
	code  string // of a refusal by all others; empty: they answer
}

func (e *everywhere) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, r.Host)
	if slices.Contains(e.down, r.Host) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if e.code != "" {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, kmsError(e.code))
		return
	}
	_, _ = io.WriteString(w, goodAnswer)
}

// regional is a client whose every https connection leads to e.
func regional(t *testing.T, e *everywhere, settings config.KMS, login Login) *Client {
	t.Helper()
	e.Server = httptest.NewTLSServer(e)
	t.Cleanup(e.Close)
	c, err := New(settings, login, "", func(Call) {})
	if err != nil {
		t.Fatal(err)
	}
	own := e.Client().Transport.(*http.Transport)
	c.transport.secure = sync.OnceValues(func() (*http.Transport, error) {
		transport := newTransport(settings)
		transport.TLSClientConfig = &tls.Config{RootCAs: own.TLSClientConfig.RootCAs, ServerName: "example.com", MinVersion: tls.VersionTLS12}
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, e.Listener.Addr().String())
		}
		return transport, nil
	})
	t.Cleanup(c.closeIdle)
	return c
}

func TestFallbackRegions(t *testing.T) {
	t.Parallel()
	host := func(region string) string { return "kms." + region + ".aliyuncs.com" }
	for name, test := range map[string]struct {
		down  []string
		code  string
		id    secret.ID
		asked []string
		kind  Kind
	}{
		"no need":              {nil, "", current, []string{"a"}, ""},
		"the first is away":    {[]string{"a"}, "", current, []string{"a", "b"}, ""},
		"two are away":         {[]string{"a", "b"}, "", current, []string{"a", "b", "c"}, ""},
		"all are away":         {[]string{"a", "b", "c"}, "", current, []string{"a", "b", "c"}, Unavailable},
		"not for a denial":     {nil, "Forbidden.NoPermission", current, []string{"a"}, Denied},
		"not for an absence":   {nil, "Forbidden.ResourceNotFound", current, []string{"a"}, NotFound},
		"not for a throttle":   {nil, "Rejected.Throttling", current, []string{"a"}, Throttled},
		"denied in the second": {[]string{"a"}, "Forbidden.NoPermission", current, []string{"a", "b", "c"}, Unavailable},
		"not for a named one":  {[]string{"d"}, "", secret.ID{Name: "prod/db", Region: "d", Stage: "ACSCurrent"}, []string{"d"}, Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &everywhere{code: test.code}
			for _, region := range test.down {
				e.down = append(e.down, host(region))
			}
			settings := settingsFor("")
			settings.Region, settings.Fallback = "a", []string{"b", "c"}
			_, err := regional(t, e, settings, Fixed(withToken())).Get(t.Context(), test.id)
			if test.kind != "" {
				failure(t, err, test.kind)
			} else if err != nil {
				t.Error(err)
			}
			var want []string
			for _, region := range test.asked {
				want = append(want, host(region))
			}
			if !slices.Equal(e.asked, want) {
				t.Errorf("asked: got %q, want %q", e.asked, want)
			}
		})
	}
}

func TestRegionOfTheInstance(t *testing.T) {
	t.Parallel()
	_, instance := cloud(t, 0)
	settings := settingsFor("")
	settings.Region = ""
	e := &everywhere{}
	login := Login{Auth: map[string]config.Auth{config.DefaultAuth: {Type: "access_key", MetadataEndpoint: instance.URL}}, Lookup: environment(appKey...)}
	if _, err := regional(t, e, settings, login).Get(t.Context(), current); err != nil {
		t.Fatal(err)
	}
	if want := []string{"kms.cn-hangzhou.aliyuncs.com"}; !slices.Equal(e.asked, want) {
		t.Errorf("asked: got %q, want %q", e.asked, want)
	}
}

func TestNoRegion(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(nil)
	away.Close()
	settings := settingsFor("")
	settings.Region = ""
	login := Login{Auth: map[string]config.Auth{config.DefaultAuth: {Type: "access_key", MetadataEndpoint: away.URL}}, Lookup: environment(appKey...)}
	_, err := regional(t, &everywhere{}, settings, login).Get(t.Context(), current)
	failure(t, err, NoRegion)
	if want := "no region (none declared, and no metadata of an ECS instance): set ALIBABA_CLOUD_REGION_ID, --region or kms.region (or --endpoint)"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %s, want %s", err, want)
	}
}

// TestMetadataBypassesProxies looks at the rule alone: nothing is dialled.
func TestMetadataBypassesProxies(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequest(http.MethodGet, "http://"+config.MetadataHost+"/latest/api/token", nil)
	if err != nil {
		t.Fatal(err)
	}
	if proxy, err := proxyFor(r); proxy != nil || err != nil {
		t.Errorf("got %v, %v, want no proxy", proxy, err)
	}
}

// TestSTSInAVPC: the region that the instance told is STS's too.
func TestSTSInAVPC(t *testing.T) {
	t.Parallel()
	_, instance := cloud(t, 0)
	settings := settingsFor("")
	settings.Region, settings.Network = "", "vpc"
	e := &everywhere{}
	login := Login{Auth: map[string]config.Auth{
		config.DefaultAuth: {Type: "assume_role", Source: "key", RoleARN: readerRole, MetadataEndpoint: instance.URL},
		"key":              {Type: "access_key"},
	}, Lookup: environment(appKey...)}
	_, _ = regional(t, e, settings, login).Get(t.Context(), current) // this STS answers like KMS
	if want := []string{"sts-vpc.cn-hangzhou.aliyuncs.com"}; !slices.Equal(e.asked, want) {
		t.Errorf("asked: got %q, want %q", e.asked, want)
	}
}
