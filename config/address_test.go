package config

import "testing"

func TestKMSURL(t *testing.T) {
	t.Parallel()
	for want, k := range map[string]KMS{
		"https://kms.cn-hangzhou.aliyuncs.com":     {Network: "public"},
		"https://kms-vpc.cn-hangzhou.aliyuncs.com": {Network: "vpc"},
		"https://kms.internal":                     {Network: "vpc", Endpoint: "kms.internal"},
		"https://kms.internal:8443":                {Endpoint: "kms.internal:8443"},
		"https://kst-1.cryptoservice.kms.com":      {Endpoint: "https://kst-1.cryptoservice.kms.com/"},
		"http://127.0.0.1:4566":                    {Endpoint: "http://127.0.0.1:4566"},
		"http://[::1]:4566":                        {Endpoint: "HTTP://[::1]:4566"},
	} {
		scheme, host := k.URL("cn-hangzhou")
		if got := scheme + "://" + host; got != want {
			t.Errorf("%+v: got %s, want %s", k, got, want)
		}
	}
}

func TestParseEndpointRefuses(t *testing.T) {
	t.Parallel()
	const want = "want a host, https://HOST or http://127.0.0.1:PORT"
	for _, text := range []string{
		"", "https://", ":443", "http://:80", "ftp://kms", "kms/path", "kms?query", "kms#fragment", "user:password@kms", "kms:port", "k ms", "http://[::1",
	} {
		if e, err := parseEndpoint(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, %v, want %s", text, e, err, want)
		}
	}
}

func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "localhost:80": true, "127.0.0.1": true, "127.255.0.1:80": true, "::1": true, "[::1]": true, "[::1]:80": true,
		"": false, ":80": false, "0.0.0.0": false, "[::]:80": false, "10.0.0.1:80": false, "128.0.0.1": false, "kms.internal": false,
		"localhost.evil": false, "127.0.0.1.evil:80": false, "127.1": false,
	} {
		if got := IsLoopback(host); got != want {
			t.Errorf("%q: got %t, want %t", host, got, want)
		}
	}
}

func TestHTTPAddress(t *testing.T) {
	t.Parallel()
	const want = "want HOST:PORT, :PORT or unix:/PATH, got "
	for listen, test := range map[string]struct {
		network, address, err string
		loopback              bool
	}{
		"127.0.0.1:9153":  {"tcp", "127.0.0.1:9153", "", true},
		"localhost:0":     {"tcp", "localhost:0", "", true},
		"[::1]:9153":      {"tcp", "[::1]:9153", "", true},
		":9153":           {"tcp", ":9153", "", false},
		"0.0.0.0:9153":    {"tcp", "0.0.0.0:9153", "", false},
		"kms.internal:80": {"tcp", "kms.internal:80", "", false},
		"unix:/run/a:b":   {"unix", "/run/a:b", "", true},
		"unix:run/a":      {"", "", `want unix:/PATH, got "unix:run/a"`, false},
		"unix:":           {"", "", `want unix:/PATH, got "unix:"`, false},
		"127.0.0.1":       {"", "", want + `"127.0.0.1"`, false},
		"127.0.0.1:":      {"", "", want + `"127.0.0.1:"`, false},
		"::1:9153":        {"", "", want + `"::1:9153"`, false},
		"":                {"", "", want + `""`, false},
	} {
		h := HTTP{Listen: listen}
		network, address, err := h.Address()
		text := ""
		if err != nil {
			text = err.Error()
		}
		if network != test.network || address != test.address || text != test.err {
			t.Errorf("%q: got %q, %q, %q, want %q, %q, %q", listen, network, address, text, test.network, test.address, test.err)
		}
		if got := h.Loopback(); got != test.loopback {
			t.Errorf("%q: loopback: got %t, want %t", listen, got, test.loopback)
		}
	}
}
