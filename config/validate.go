package config

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kmsrun/kmsrun/secret"
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	regionName   = regexp.MustCompile(`^[a-z0-9-]+$`)
)

// minInterval keeps a mistyped interval from using up the account's quota of 450
// secret reads per second, which all its processes share.
const minInterval = 100 * time.Millisecond

// validate checks every rule that decoding does not.
func (d *decoder) validate(c *Config) {
	if c.Version != 1 {
		d.fault("version", "want 1, got %d", c.Version)
	}
	d.validateKMS(c)
	d.validateRegions(c)
	d.validateAuth(c)
	d.validateEnv(c)
	d.validateEnvFrom(c)
	d.validateFiles(c)
	d.validateTimes(c)
	d.validateChild(c)
	d.validateActions(c)
	d.validateVerify(c.Verify)
	d.validateHealth(c.Health)
	d.oneOf("on_change.env", c.OnChange.Env, "restart", "exit", "none")
	d.oneOf("watch.reload", c.Watch.Reload, "none", "templates", "all")
	d.oneOf("log.format", c.Log.Format, "text", "json")
	d.validateHTTP(c)
	d.validateStale(c)
	d.validateSealed(c)
}

func (d *decoder) oneOf(key, got string, want ...string) {
	if !slices.Contains(want, got) {
		last := len(want) - 1
		d.fault(key, "want %s or %s, got %q", strings.Join(want[:last], ", "), want[last], got)
	}
}

func (d *decoder) validateKMS(c *Config) {
	d.oneOf("kms.network", c.KMS.Network, "public", "vpc")
	if c.KMS.Concurrency < 1 || c.KMS.Concurrency > 64 {
		d.fault("kms.concurrency", "want 1 to 64, got %d", c.KMS.Concurrency)
	}
	if c.KMS.Endpoint != "" {
		switch e, err := parseEndpoint(c.KMS.Endpoint); {
		case err != nil:
			d.fault("kms.endpoint", "%s", err)
		case e.Scheme == "http" && !IsLoopback(e.Host) && !c.KMS.InsecureHTTP:
			d.fault("kms.endpoint", "plain http is for loopback only: use https, or set kms.insecure_http: true to send secrets in the clear")
		case e.Scheme == "http" && !IsLoopback(e.Host):
			d.warn(c, "kms.insecure_http", "secrets travel in the clear")
		}
	}
	if !(c.KMS.RateLimit > 0) { // true for NaN too
		d.fault("kms.rate_limit", "want more than 0 calls per second, got %v", c.KMS.RateLimit)
	}
}

func (d *decoder) validateRegions(c *Config) {
	isRegion := func(key, region string) {
		if !regionName.MatchString(region) {
			d.fault(key, "want a region such as cn-hangzhou, got %q", region)
		}
	}
	if c.KMS.Region != "" {
		isRegion("kms.region", c.KMS.Region)
	}
	for _, region := range c.KMS.Fallback {
		isRegion("kms.fallback_regions", region)
	}
	if len(c.KMS.Fallback) > 0 && c.KMS.Endpoint != "" {
		d.fault("kms.fallback_regions", "an explicit endpoint has no other regions: want one of them")
	}
	if c.KMS.Region == "" && c.KMS.Endpoint == "" && !d.instance && needsRegion(c.IDs()) {
		d.fault("kms.region", "no region: set ALIBABA_CLOUD_REGION_ID, --region or kms.region (or --endpoint)")
	}
}

func needsRegion(ids []secret.ID) bool {
	return slices.ContainsFunc(ids, func(id secret.ID) bool { return id.Region == "" })
}

func (d *decoder) validateEnv(c *Config) {
	for _, name := range sortedKeys(c.Env) {
		key := "env." + name
		if f, set := d.where[key]; !variableName.MatchString(name) && (!set || !strings.HasPrefix(f.Key, "environment variable ")) {
			d.fault(key, "not a variable name: want letters, digits and _, not starting with a digit")
		}
		if ref, _ := c.Env[name].Whole(); ref.As == secret.AsFile && strings.Contains(name, "/") {
			d.fault(key, "as=file makes a file of the variable's name: want none with /")
		}
		d.validateText(c, key, c.Env[name], inVariable)
	}
}

func (d *decoder) validateFiles(c *Config) {
	d.oneOf("files.disk", c.Files.Disk, "refuse", "allow")
	d.oneOf("files.keep_on_exit", c.Files.KeepOnExit, "auto", "true", "false")
	if c.Files.Dir != "" && !path.IsAbs(c.Files.Dir) {
		d.fault("files.dir", "want an absolute path, got %q", c.Files.Dir)
	}
	for _, name := range sortedKeys(c.Files.Items) {
		key := "files.items." + name
		if path.IsAbs(name) || path.Clean(name) != name || name == "." || slices.ContainsFunc(strings.Split(name, "/"), hidden) {
			d.fault(key, "want a path below the directory, without . or .. and with no part that begins with two dots")
		}
		for dir := path.Dir(name); dir != "." && dir != "/"; dir = path.Dir(dir) {
			if _, file := c.Files.Items[dir]; file {
				d.fault(key, "%q is a file, and can't be a directory too", dir)
			}
		}
		if name == VariableFiles || strings.HasPrefix(name, VariableFiles+"/") {
			for _, variable := range sortedKeys(c.Env) {
				if ref, _ := c.Env[variable].Whole(); ref.As == secret.AsFile {
					d.fault(key, "%s is where the files of as=file lie, as of env.%s", VariableFiles, variable)
					break
				}
			}
		}
		d.validateItem(c, key, c.Files.Items[name])
	}
}

// hidden parts are refused because ..data and its generations lie beside the items.
func hidden(part string) bool { return strings.HasPrefix(part, "..") }

func (d *decoder) validateTimes(c *Config) {
	positive := func(key string, got time.Duration) {
		if got <= 0 {
			d.fault(key, "want more than 0s, got %s", got)
		}
	}
	notNegative := func(key string, got time.Duration) {
		if got < 0 {
			d.fault(key, "want 0s or more, got %s", got)
		}
	}
	polite := func(key string, got time.Duration) {
		if got < minInterval {
			d.fault(key, "want %s or more, got %s", minInterval, got)
		}
	}
	positive("kms.timeout", c.KMS.Timeout)
	positive("kms.start_timeout", c.KMS.StartTimeout)
	notNegative("files.grace", c.Files.Grace)
	notNegative("child.stop_timeout", c.Child.StopTimeout)
	notNegative("watch.debounce", c.Watch.Debounce)
	if c.Watch.DebounceMax < c.Watch.Debounce {
		d.fault("watch.debounce_max", "want at least watch.debounce (%s), got %s", c.Watch.Debounce, c.Watch.DebounceMax)
	}
	polite("watch.interval", c.Watch.Interval)
	polite("watch.rotation_interval", c.Watch.RotationInterval)
	if !(c.Watch.Jitter >= 0 && c.Watch.Jitter <= 1) { // false for NaN too
		d.fault("watch.jitter", "want a fraction from 0 to 1, got %v", c.Watch.Jitter)
	}
}

func (d *decoder) validateHTTP(c *Config) {
	d.isContents("http.token_file", c.HTTP.TokenFile)
	d.isContents("http.tls_key", c.HTTP.TLSKey)
	if (c.HTTP.TLSCert == "") != (c.HTTP.TLSKey == "") {
		d.fault("http.tls_cert", "want tls_cert and tls_key together")
	}
	if c.HTTP.Listen == "" {
		return
	}
	switch network, _, err := c.HTTP.Address(); {
	case err != nil:
		d.fault("http.listen", "%s", err)
	case network == "unix" && c.HTTP.TLSCert != "":
		d.fault("http.tls_cert", "a unix socket has no TLS: want one of them")
	}
}

func (d *decoder) warn(c *Config, key, format string, args ...any) {
	d.fault(key, format, args...)
	last := len(d.faults) - 1
	c.Warnings = append(c.Warnings, *d.faults[last])
	d.faults = d.faults[:last]
}
