package config

import (
	"slices"
	"strings"
	"testing"
)

const (
	badPath = "want a path below the directory, without . or .. and with no part that begins with two dots"
	badName = "not a name that a KMS secret can have: 1 to 192 of A-Z a-z 0-9 _ / + = . @ -"
	badVar  = "not a variable name: want letters, digits and _, not starting with a digit"
	noValue = `want a value; write "" for an empty one`
	atTop   = "unknown key; known here: auth, child, env, env_from, files, health, http, kms, log, on_change, scan_env, sealed, verify, version, watch"
)

// invalid pairs testdata/invalid-NAME.yaml with its error lines; the path before a
// colon at the start is left out.
var invalid = map[string][]string{
	"alias-null": {`:2: env.A: ` + noValue, `:3: env.B: ` + noValue},
	"auth": {
		`:4: auth.a.type: want access_key, assume_role, chain, ecs_role, oidc, profile, sts, uri`,
		`:5: auth.b.role_arn: not for type access_key, which takes access_key_id_file, access_key_secret_file`,
		`:6: auth.c: want access_key_id_file, access_key_secret_file, security_token_file together, or none of them for the environment's`,
		`:7: auth.d.metadata_endpoint: want http://127.0.0.1:PORT: it stands in for an instance's metadata in tests`,
		`:8: auth.e.role_arn: want acs:ram::ACCOUNT:role/NAME, got "reader"`,
		`:8: auth.e.sts_endpoint: want a host, https://HOST, or http://127.0.0.1:PORT (plain http is for loopback only)`,
		`:9: auth.f.source: f from g from f starts from itself: want a source that is not assumed from it`,
		`:10: auth.g.source: g from f from g starts from itself: want a source that is not assumed from it`,
		`:11: auth.h.source: no auth profile "nobody": declare auth.nobody`,
		`:12: auth.i.role_arn: want acs:ram::ACCOUNT:role/NAME`,
		`:13: auth.j.uri: want http://HOST/PATH or https://HOST/PATH`,
		`:14: auth.k.session_name: want 2 to 64 of A-Z a-z 0-9 . @ _ -, got "a b"`,
		`:15: auth.l.uri: plain http is for this machine only: use https, or set kms.insecure_http: true to send credentials in the clear`,
		`:17: env.A: no auth profile "none": declare auth.none, or want one of a, b, c, d, default, e, f, g, h, i, j, k, l`,
	},
	"contents": {
		`:2: auth.default.access_key_secret_file: want the path of a file, not what is in it`,
		`:5: auth.rrsa.oidc_token_file: want the path of a file, not what is in it`,
		`:9: http.token_file: want the path of a file, not what is in it`,
		`:12: http.tls_key: want the path of a file, not what is in it`,
		`:18: sealed.identity_file: want the path of a file, not what is in it`,
	},
	"child": {
		`:2: child.user: want a name or a number, and the group in child.group, got "app:app"`,
		`:3: child.chdir: want an absolute path, got "here"`,
		`:4: child.pre_stop: want a command and its arguments, got an empty command`,
		`:5: child.leftovers: want auto, stop or leave, got "keep"`,
		`:7: on_change.splay: want 0s or more, got -1s`,
		`:8: on_change.min_interval: want 0s or more, got -1s`,
		`:9: on_change.max_per_hour: want 0 (no limit) or more, got -1`,
	},
	"actions": {
		`:3: files.items.a.on_change: want one of signal, exec, http and touch, got exec and touch`,
		`:4: files.items.b.on_change: process and pid_file go with signal`,
		`:5: files.items.c.on_change: process and pid_file exclude each other`,
		`:6: files.items.d.on_change.process: want the name of an executable or its absolute path, got "bin/x"`,
		`:7: files.items.e.on_change.pid_file: want an absolute path, got "x.pid"`,
		`:8: files.items.f.on_change.touch: want an absolute path, got "x"`,
		`:9: files.items.g.on_change.exec: want a command and its arguments, got an empty command`,
		`:10: files.items.h.on_change.timeout: want more than 0s, got -1s`,
		`:11: files.items.i.on_change.timeout: goes with exec`,
		`:12: files.items.j.on_change.http: want http://HOST/PATH or https://HOST/PATH, with no user`,
		`:13: files.items.k.on_change: want none, restart, a signal such as SIGHUP, or a mapping with signal, exec, http or touch; got "reload"`,
		`:14: files.items.l.on_change.sinal: unknown key; known here: exec, http, pid_file, process, signal, timeout, touch`,
		`:15: files.items.m.on_change.signal: want a signal such as SIGHUP, got "x"`,
		`:16: files.items.n.on_change: want one of signal, exec, http and touch, got none of them`,
	},
	"health": {
		`:1: verify.exec: want a command and its arguments, got an empty command`,
		`:1: verify.when: want before or after, got "later"`,
		`:1: verify.timeout: want more than 0s, got 0s`,
		`:2: health: want one of http, tcp and exec`,
		`:2: health.http: want http://HOST/PATH or https://HOST/PATH, with no user`,
		`:2: health.tcp: want HOST:PORT, got "db"`,
		`:2: health.settle: want 0s or more, got -1s`,
		`:2: health.interval: want more than 0s, got 0s`,
		`:2: health.within: want at least health.settle (-1s) and health.interval (0s), got -1s`,
	},
	"health-unused": {
		`:1: verify.timeout: goes with verify.exec`,
		`:1: verify.when: goes with verify.exec`,
		`:2: health.within: goes with a check: http, tcp or exec`,
	},
	"regions": {
		`:3: kms.fallback_regions: want a region such as cn-hangzhou, got "CN"`,
		`:3: kms.fallback_regions: an explicit endpoint has no other regions: want one of them`,
		`:4: kms.rate_limit: want more than 0 calls per second, got 0`,
	},
	"regions-list":     {`:2: kms.fallback_regions: want a list`},
	"concurrency":      {`:2: kms.concurrency: want 1 to 64, got 0`},
	"concurrency-high": {`:2: kms.concurrency: want 1 to 64, got 65`},
	"debounce":         {`:2: watch.debounce: want 0s or more, got -1s`},
	"debounce-max":     {`:1: watch.debounce_max: want at least watch.debounce (11s), got 10s`},
	"dir-owner": {
		`:2: files.owner: want user, user:group or :group, by name or id, got "app:"`,
		`:3: files.dir_mode: want auto, or octal bits such as "0750" with all for the owner and no writing by others, got "0770"`,
		`:4: files.keep_on_exit: want auto, true or false, got "yes"`,
		`:6: files.items.a.owner: want a user or group id below 4294967295, got 4294967295`,
		`:7: files.items.b.owner: want user, user:group or :group, by name or id, got "a:b:c"`,
		`:8: watch.reload: want none, templates or all, got "always"`,
	},
	"disk": {`:2: files.disk: want refuse or allow, got "yes"`},
	"doubled-key": {
		`:2: kms.network: want public or vpc, got "private"`,
		`:4: kms.network: given twice; first in line 2`,
		`:5: kms: given twice; first in line 1`,
		`:6: env.A: given twice; first in line 6`,
	},
	"empty-key":     {`:1: ` + atTop},
	"endpoint":      {`:2: kms.endpoint: want a host, https://HOST or http://127.0.0.1:PORT`}, // it may hold a password
	"endpoint-host": {`:2: kms.endpoint: want a host, https://HOST or http://127.0.0.1:PORT`},
	"endpoint-http": {`:2: kms.endpoint: plain http is for loopback only: use https, or set kms.insecure_http: true to send secrets in the clear`},
	"env-filter":    {`:4: env.A: character 36: unknown filter "upper": want urlencode, base64, json, shell, trim`},
	"env-list":      {`:2: env.A: want a single value`},
	"env-name":      {`:2: env.PLAIN-NAME: ` + badVar, `:3: env.1ST: ` + badVar},
	"env-null":      {`:2: env.A: ` + noValue, `:3: env.B: ` + noValue},
	"env-reference": {
		`:4: env.A: character 16: name "http@host:9600/kms": ` + badName,
		`:5: env.B: character 10: option "as": want env, file or fd, got "pipe"`,
		`:6: env.C: character 1: "acs:kms:r:1:key/a": not a name that a KMS secret can have: want acs:kms:REGION:ACCOUNT:secret/NAME`,
	},
	"files-dir":         {`:2: files.dir: want an absolute path, got "run/kmsrun"`},
	"files-dir-unused":  {`:2: env.A: ${files_dir} needs a file: files.items is empty`},
	"grace":             {`:2: files.grace: want 0s or more, got -1s`},
	"interval":          {`:2: watch.interval: want 100ms or more, got 99ms`},
	"item-conflict":     {`:3: files.items.tls/a/b: "tls" is a file, and can't be a directory too`},
	"item-empty":        {`:3: files.items.a: want from: a reference or text, template: a file, or template_text`, `:4: files.items.b: want from: a reference or text, template: a file, or template_text`},
	"item-key":          {`:3: files.items.a.form: unknown key; known here: decode, format, from, mode, on_change, owner, template, template_text`, `:3: files.items.a: want from: a reference or text, template: a file, or template_text`},
	"rotation-interval": {`:2: watch.rotation_interval: want 100ms or more, got 99ms`},
	"item-path": {
		`:3: files.items./etc/a: ` + badPath,
		`:4: files.items.a/../b: ` + badPath,
		`:5: files.items...data: ` + badPath,
		`:6: files.items.a/..b: ` + badPath,
		`:7: files.items.: ` + badPath,
		`:8: files.items..: ` + badPath,
		`:9: files.items.c/: ` + badPath,
	},
	"item-reference": {`:3: files.items.a: character 8: name "a b": ` + badName, `:4: files.items.b.from: character 8: name "c d": ` + badName},
	"jitter":         {`:2: watch.jitter: want a fraction from 0 to 1, got 1.5`},
	"jitter-nan":     {`:2: watch.jitter: want a fraction from 0 to 1, got NaN`},
	"list":           {`:2: want a map`},
	"list-map":       {`:3: kms.fallback_regions: want a list`},
	"listen":         {`:2: http.listen: want HOST:PORT, :PORT or unix:/PATH, got "9153"`},
	"listen-unix":    {`:2: http.listen: want unix:/PATH, got "unix:run/kmsrun.sock"`},
	"log-format":     {`:2: log.format: want text or json, got "logfmt"`},
	"log-level":      {`:2: log.level: want debug, info, warn or error, got "verbose"`},
	"missing":        {`testdata/invalid-missing.yaml: reading the declaration: no such file or directory`}, // no such fixture
	"mode": {
		`:2: files.mode: want permission bits in octal such as "0400", got "0800"`,
		`:4: files.items.a.mode: want permission bits in octal such as "0400", got "rw"`,
	},
	"network":         {`:2: kms.network: want public or vpc, got "private"`},
	"not-a-map":       {`:1: want a map`}, // it may be the secret itself
	"not-yaml":        {`:3: not YAML: mapping values are not allowed in this context`},
	"not-yaml-later":  {`:3: not YAML: did not find expected node content`},
	"not-yaml-flow":   {`:1: not YAML: did not find expected ',' or '}'`},
	"merge-key":       {`:4: env.<<: merge keys are not supported; write the keys out`},
	"anchor":          {`:1: not YAML: unknown anchor '...' referenced`},
	"unix-tls":        {`:1: http.tls_cert: a unix socket has no TLS: want one of them`},
	"on-change-env":   {`:2: on_change.env: want restart, exit or none, got "reload"`},
	"on-change-files": {`:2: on_change.files: want none, restart, a signal such as SIGHUP, or a mapping with signal, exec, http or touch; got "reload"`},
	"region":          {`:2: kms.region: want a region such as cn-hangzhou, got "CN Hangzhou"`},
	"region-missing":  {`kms.region: no region: set ALIBABA_CLOUD_REGION_ID, --region or kms.region (or --endpoint)`},
	"sockets": {
		`:2: child.notify: want auto, always or never, got "yes"`,
		`:4: child.sockets.0: want tcp://HOST:PORT or tcp://:PORT, got "tcp://8080"`,
		`:5: child.sockets.1: want tcp://HOST:PORT or unix:/PATH, got "udp://:53"`,
		`:6: child.sockets.2: want unix: and a clean absolute path, got "unix:app.sock"`,
		`:7: child.sockets.3: want a name of letters, digits and . _ - before the =, got "a b"`,
		`:9: child.sockets.5: tcp://:80 is there already`,
		`:10: child.sockets.6: http.listen has the same path`,
		`:11: child.sockets.7: the path of a unix socket is at most 107 bytes long, got 108`,
	},
	"sealed": {
		`:2: sealed.file: want a clean absolute path, got "var/sealed.age"`,
		`:3: sealed.recipients: want age recipients: age1...`,
		`:4: sealed.identity_file: want the path of a file that holds the identity, not the identity`,
		`:5: sealed.max_age: want at least twice watch.interval (2m0s), got 0s`,
	},
	"sealed-credential":  {`:3: sealed.identity_file: want an absolute path, or ${CREDENTIALS_DIRECTORY}/NAME, got "${CREDENTIALS_DIRECTORY}/a/b"`},
	"sealed-identity":    {`:1: sealed.identity_file: want the path of an age identity: without it the file can't be opened at a start`},
	"sealed-file":        {`:1: sealed.file: want the path of the file to keep`},
	"stale":              {`:2: watch.max_stale: want 0s (for ever), or at least twice watch.interval (2m0s), got 30s`, `:3: watch.on_stale: want unready or exit, got "restart"`},
	"stale-unused":       {`:1: watch.on_stale: exit needs an age: set watch.max_stale`},
	"start-timeout":      {`:2: kms.start_timeout: want more than 0s, got -1s`},
	"stop-signal":        {`:2: child.stop_signal: want a signal such as SIGHUP, got "SIGSTOPP"`},
	"stop-signal-number": {`:2: child.stop_signal: want a signal such as SIGHUP, got "65"`},
	"stop-timeout":       {`:2: child.stop_timeout: want 0s or more, got -1s`},
	"timeout":            {`:2: kms.timeout: want more than 0s, got 0s`},
	"tls-pair":           {`:1: http.tls_cert: want tls_cert and tls_key together`},
	"two-documents":      {`:2: want one YAML document, got another`},
	"type-bool":          {`:1: scan_env: want true or false, got "maybe"`},
	"type-duration": {
		`:2: kms.timeout: want a duration such as 30s or 5m, got "10"`,
		`:4: watch.interval: want a duration such as 30s or 5m, got "1 minute"`,
	},
	"type-float":  {`:2: watch.jitter: want a number, got "10%"`},
	"type-int":    {`:1: version: want a whole number, got "one"`, `:3: kms.concurrency: want a whole number, got "1.5"`},
	"type-map":    {`:1: kms: want a map`, `:2: env: want a map`, `:5: files.items.a: want a map`},
	"type-scalar": {`:2: kms.region: want a single value`, `:3: log.format: want a single value`},
	"unknown-key": {`:1: ver: ` + atTop, `:3: watch.intervall: unknown key; known here: debounce, debounce_max, interval, jitter, max_stale, on_stale, reload, rotation_interval`},
	"version":     {`:1: version: want 1, got 2`},

	// Faults of the decoder and of the rules come out together, by line.
	"many": {
		`:1: version: want 1, got 3`,
		`:3: kms.network: want public or vpc, got "moon"`,
		`:4: kms.timeout: want a duration such as 30s or 5m, got "soon"`,
		`:5: kms.endpoint: plain http is for loopback only: use https, or set kms.insecure_http: true to send secrets in the clear`,
		`:6: unknown: ` + atTop,
		`:8: env.A: character 18: options stage and version exclude each other`,
		`:9: env.B-C: character 12: unknown filter "rot13": want urlencode, base64, json, shell, trim`,
		`:9: env.B-C: ` + badVar,
		`:11: files.mode: want permission bits in octal such as "0400", got "7777"`,
		`:13: files.items./a: ` + badPath,
		`:15: watch.interval: want 100ms or more, got 1ns`,
		`:16: watch.jitter: want a fraction from 0 to 1, got -1`,
		`:18: log.format: want text or json, got "xml"`,
	},
}

func TestLoadInvalid(t *testing.T) {
	t.Parallel()
	for name, rows := range invalid {
		file := "testdata/invalid-" + name + ".yaml"
		var want []string
		for _, line := range rows {
			if strings.HasPrefix(line, ":") {
				line = file + line
			}
			want = append(want, line)
		}
		_, err := Load(Source{File: file, Environ: []string{"ALIBABA_CLOUD_ECS_METADATA_DISABLED=true"}})
		if got := lines(t, err); !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", file, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
}
