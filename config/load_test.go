package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/kmsrun/kmsrun/secret"
)

// lines is what a user gets to read of an error of Load.
func lines(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	all, ok := errors.AsType[*multierror.Error](err)
	if !ok {
		t.Fatalf("got a %T, want a *multierror.Error", err)
	}
	var texts []string
	for _, err := range all.WrappedErrors() {
		if _, ok := errors.AsType[*Fault](err); !ok {
			t.Errorf("got a %T, want a *Fault: %v", err, err)
		}
		texts = append(texts, err.Error())
	}
	return texts
}

func warnings(c Config) []string {
	var texts []string
	for _, w := range c.Warnings {
		texts = append(texts, w.Error())
	}
	return texts
}

func ref(name, key string) secret.Ref {
	r := secret.Ref{ID: secret.ID{Name: name, Stage: secret.StageCurrent}}
	if key != "" {
		r.Selector = secret.Selector{Kind: secret.Key, Text: key}
	}
	return r
}

func literal(text string) Text { return Text{Parts: []Part{{Literal: text}}} }

func TestLoadFull(t *testing.T) {
	t.Parallel()
	got, err := Load(Source{File: "testdata/full.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	password := ref("prod/db", "AccountPassword")
	password.ID.Stage = "ACSPrevious"
	want := Config{
		Version: 1,
		KMS: KMS{
			Region: "cn-hangzhou", Network: "vpc", Endpoint: "http://kms.internal:8080", InsecureHTTP: true, CAFile: "/etc/ca.pem",
			Timeout: 5 * time.Second, StartTimeout: 2 * time.Minute, Concurrency: 4, RateLimit: 7.5,
		},
		Auth: map[string]Auth{
			"default": {Type: "chain"},
			"audit":   {Type: "assume_role", RoleARN: "acs:ram::2:role/audit", ExternalID: "x", SessionName: "kmsrun"},
		},
		ScanEnv: false,
		Env: map[string]Text{
			"PASSWORD": {Parts: []Part{{Ref: password}}},
			"URL": {Parts: []Part{
				{Literal: "postgres://app:"}, {Ref: ref("prod/db", "AccountPassword"), Filter: "urlencode"}, {Literal: "@db/app"},
			}},
			"KEY":   {Parts: []Part{{FilesDir: true}, {Literal: "/tls.key"}}},
			"PORT":  literal("08080"), // no number: it stays as it is written
			"EMPTY": {},
		},
		Files: Files{
			Dir: "/run/app", Disk: "allow", Mode: 0o440, DirMode: 0o710, Owner: Owner{Group: "nginx"}, KeepOnExit: "true", Grace: 0,
			Items: map[string]Item{
				"tls.crt": {From: Text{Parts: []Part{{Ref: secret.Ref{
					ID:       secret.ID{Region: "cn-beijing", Account: "123", Name: "tls", Version: "v1"},
					Selector: secret.Selector{Kind: secret.Key, Text: "crt"},
				}}}}},
				"tls.key": {From: Text{Parts: []Part{{Ref: secret.Ref{
					ID:       secret.ID{Name: "tls", Stage: secret.StageCurrent},
					Selector: secret.Selector{Kind: secret.Pointer, Text: "/key/0"},
				}}}}, Mode: 0o400, Owner: Owner{User: "app", Group: "1000"}, OnChange: FileAction{Exec: []string{"tell", "it"}, Timeout: time.Minute}},
			},
		},
		Watch: Watch{
			Interval: 100 * time.Millisecond, DebounceMax: time.Second, RotationInterval: time.Second,
			MaxStale: time.Hour, OnStale: "exit", Reload: "all",
		},
		OnChange: OnChange{Env: "exit", Files: FileAction{Signal: Signal(syscall.SIGHUP)}, Splay: 3 * time.Second},
		Child: Child{
			Group: "app", Chdir: "/srv", StopSignal: Signal(syscall.SIGINT), PreStop: []string{"drain", "--now"}, Leftovers: "leave",
			Sockets: []Socket{{"web", "tcp", ":8080"}, {"", "unix", "/run/app.sock"}}, Notify: "never",
		},
		Verify: Verify{Exec: []string{"nginx", "-t"}, Timeout: 3 * time.Second, When: "after"},
		Health: Health{Settle: 5 * time.Second, Within: 20 * time.Second, Interval: 2 * time.Second, TCP: "127.0.0.1:80"},
		Sealed: Sealed{
			File: "/var/lib/app/sealed.age", Identity: CredentialsDir + "id", MaxAge: 48 * time.Hour,
			Recipients: []string{"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"},
		},
		HTTP: HTTP{Listen: "127.0.0.1:9153", TokenFile: "/token", TLSCert: "/cert", TLSKey: "/key", Insecure: true},
		Log:  Log{Level: slog.LevelDebug, Format: "json"},
		Warnings: []Fault{
			{File: "testdata/full.yaml", Line: 6, Key: "kms.insecure_http", Text: "secrets travel in the clear"},
			{
				File: "testdata/full.yaml", Line: 28, Key: "files.items.tls.crt",
				Text: "acs:kms:cn-beijing:123:secret/tls?version=v1 is pinned to a version: it never changes, " +
					"managed secrets ignore it, and generic secrets keep only 10 versions",
			},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for name, want := range map[string]fs.FileMode{"tls.crt": 0o440, "tls.key": 0o400} {
		if got := got.Files.ModeOf(got.Files.Items[name]); got != want {
			t.Errorf("mode of %s: got %#o, want %#o", name, got, want)
		}
	}
}

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"", "testdata/empty.yaml", "testdata/sparse.yaml"} {
		got, err := Load(Source{File: file})
		if err != nil || !reflect.DeepEqual(got, Default()) {
			t.Errorf("%q: got %+v, %v, want %+v", file, got, err, Default())
		}
	}
}

func TestLoadTerminal(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		src  Source
		want string
	}{
		"no terminal":        {Source{}, "restart"},
		"terminal":           {Source{Terminal: true}, "none"},
		"file over terminal": {Source{Terminal: true, File: "testdata/full.yaml"}, "exit"},
		"flag over terminal": {Source{Terminal: true, Overrides: []Override{{[]string{"on_change", "env"}, "restart", "--on-env-change"}}}, "restart"},
	} {
		c, err := Load(test.src)
		if got := c.OnChange.Env; got != test.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, test.want)
		}
	}
}

func TestLoadRegion(t *testing.T) {
	t.Parallel()
	needsOne := Override{[]string{"env", "A"}, "kms://db", "--env A"}
	flag := Override{[]string{"kms", "region"}, "cn-flag", "--region"}
	id, plain := "ALIBABA_CLOUD_REGION_ID=cn-id", "ALIBABA_CLOUD_REGION=cn-plain"
	for name, test := range map[string]struct {
		src  Source
		want string
	}{
		"id":              {Source{Environ: []string{id}}, "cn-id"},
		"plain":           {Source{Environ: []string{plain}}, "cn-plain"},
		"id over plain":   {Source{Environ: []string{plain, id}}, "cn-id"},
		"empty is unset":  {Source{Environ: []string{"ALIBABA_CLOUD_REGION_ID=", plain}}, "cn-plain"},
		"flag over id":    {Source{Environ: []string{id}, Overrides: []Override{flag}}, "cn-flag"},
		"file over id":    {Source{Environ: []string{id}, File: "testdata/full.yaml"}, "cn-hangzhou"},
		"flag over file":  {Source{File: "testdata/full.yaml", Overrides: []Override{flag}}, "cn-flag"},
		"endpoint":        {Source{Overrides: []Override{{[]string{"kms", "endpoint"}, "kms.internal", "--endpoint"}}}, ""},
		"no other prefix": {Source{Environ: []string{"ALIBABA_CLOUD_REGION_ID_OLD=cn-old", id}}, "cn-id"},
	} {
		test.src.Overrides = append(test.src.Overrides, needsOne)
		c, err := Load(test.src)
		if got := c.KMS.Region; got != test.want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, test.want)
		}
	}
}

// A secret in another account says its region itself.
func TestLoadNeedsNoRegionForARNs(t *testing.T) {
	t.Parallel()
	if _, err := Load(Source{Environ: []string{"A=acs:kms:cn-hangzhou:1:secret/db"}}); err != nil {
		t.Errorf("got %v, want no error", err)
	}
}

func TestLoadOverrides(t *testing.T) {
	t.Parallel()
	c, err := Load(Source{File: "testdata/full.yaml", Overrides: []Override{
		{[]string{"watch", "interval"}, "30s", "KMSRUN_INTERVAL"},
		{[]string{"watch", "interval"}, "5s", "--interval"},
		{[]string{"on_change", "files"}, "restart", "--on-file-change"},
		{[]string{"child", "stop_signal"}, "sigquit", "--stop-signal"},
		{[]string{"scan_env"}, "true", "--no-scan-env"},
		{[]string{"env", "PORT"}, "kms://port", "--env PORT"},
		{[]string{"env", "NEW"}, "a=b", "--env NEW"},
		{[]string{"env", "NULL"}, "null", "--env NULL"},
		{[]string{"env", "EMPTY"}, "", "--env EMPTY"},
		{[]string{"files", "items", "tls.key"}, "kms://other", "--file tls.key"},
		{[]string{"files", "items", "new/a.b"}, "kms://new#k", "--file new/a.b"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key       string
		got, want any
	}{
		{"watch.interval", c.Watch.Interval, 5 * time.Second},
		{"on_change.files", c.OnChange.Files, FileAction{Restart: true}},
		{"child.stop_signal", c.Child.StopSignal, Signal(syscall.SIGQUIT)},
		{"scan_env", c.ScanEnv, true},
		{"env.PORT", c.Env["PORT"], Text{Parts: []Part{{Ref: ref("port", "")}}}},
		{"env.NEW", c.Env["NEW"], literal("a=b")},
		{"env.NULL", c.Env["NULL"], literal("null")},
		{"env.EMPTY", c.Env["EMPTY"], Text{}},
		{"env.KEY, of the file", c.Env["KEY"], Text{Parts: []Part{{FilesDir: true}, {Literal: "/tls.key"}}}},
		{"files.items.tls.key", c.Files.Items["tls.key"], Item{From: Text{Parts: []Part{{Ref: ref("other", "")}}}, Mode: 0o400, Owner: Owner{User: "app", Group: "1000"}, OnChange: FileAction{Exec: []string{"tell", "it"}, Timeout: time.Minute}}},
		{"files.items.new/a.b", c.Files.Items["new/a.b"], Item{From: Text{Parts: []Part{{Ref: ref("new", "k")}}}}},
	} {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.key, test.got, test.want)
		}
	}
}

func TestLoadNamesOverridesInFaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		src  Source
		want []string
	}{
		"all before the file's, in their order": {
			Source{File: "testdata/invalid-network.yaml", Overrides: []Override{
				{[]string{"watch", "interval"}, "soon", "KMSRUN_INTERVAL"},
				{[]string{"log", "level"}, "all", "--log-level"},
				{[]string{"env", "A"}, "kms://a?x=y", "--env A"},
			}},
			[]string{
				`KMSRUN_INTERVAL: want a duration such as 30s or 5m, got "soon"`,
				`--log-level: want debug, info, warn or error, got "all"`,
				`--env A: character 9: unknown option "x": want stage=LABEL, version=ID, region=REGION, auth=PROFILE, as=env|file|fd, optional=true or default=TEXT`,
				`testdata/invalid-network.yaml:2: kms.network: want public or vpc, got "private"`,
			},
		},
		"a rule broken by an override": {
			Source{File: "testdata/full.yaml", Overrides: []Override{
				{[]string{"watch", "interval"}, "1ms", "--interval"},
				{[]string{"env", "1A"}, "text", "--env 1A"},
				{[]string{"files", "items", "../a"}, "kms://a", "--file ../a"},
			}},
			[]string{
				`--env 1A: not a variable name: want letters, digits and _, not starting with a digit`,
				`--file ../a: want a path below the directory, without . or .. and with no part that begins with two dots`,
				`--interval: want 100ms or more, got 1ms`,
			},
		},
		"an override mends the file": {
			Source{File: "testdata/invalid-network.yaml", Overrides: []Override{{[]string{"kms", "network"}, "vpc", "--network"}}},
			nil,
		},
		"not blamed for its neighbour in the file": {
			Source{File: "testdata/invalid-debounce-max.yaml", Overrides: []Override{{[]string{"watch", "interval"}, "5s", "--interval"}}},
			[]string{`testdata/invalid-debounce-max.yaml:1: watch.debounce_max: want at least watch.debounce (11s), got 10s`},
		},
		"not blamed for what is missing": {
			Source{Environ: []string{"ALIBABA_CLOUD_ECS_METADATA_DISABLED=true"}, Overrides: []Override{{[]string{"kms", "ca_file"}, "/ca", "--ca-file"}, {[]string{"env", "A"}, "kms://a", "--env A"}}},
			[]string{`kms.region: no region: set ALIBABA_CLOUD_REGION_ID, --region or kms.region (or --endpoint)`},
		},
	} {
		_, err := Load(test.src)
		if got := lines(t, err); !slices.Equal(got, test.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(test.want, "\n     "))
		}
	}
}

func TestLoadScansInheritedReferences(t *testing.T) {
	t.Parallel()
	c, err := Load(Source{
		Overrides: []Override{{[]string{"env", "DECLARED"}, "text", "--env DECLARED"}},
		Environ: []string{
			"PLAIN=text", "INSIDE=x kms://a", "EXPANSION=${kms://a}", "EMPTY=", "odd entry",
			"ALIBABA_CLOUD_REGION=cn-hangzhou",
			"PASSWORD=kms://prod/db#AccountPassword",
			"CERT=acs:kms:cn-hangzhou:1:secret/tls#a=b",
			"dotted.name-1=kms://dotted",
			"DECLARED=kms://inherited",
			"KMSRUN_REF=kms://a?broken",
			"HADOOP=kms://http@host:9600/kms",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Text{
		"PASSWORD": {Parts: []Part{{Ref: ref("prod/db", "AccountPassword")}}},
		"CERT": {Parts: []Part{{Ref: secret.Ref{
			ID:       secret.ID{Region: "cn-hangzhou", Account: "1", Name: "tls", Stage: secret.StageCurrent},
			Selector: secret.Selector{Kind: secret.Key, Text: "a=b"},
		}}}},
		"dotted.name-1": {Parts: []Part{{Ref: ref("dotted", "")}}}, // somebody else's name, and so not ours to refuse
		"DECLARED":      literal("text"),
	}
	if !reflect.DeepEqual(c.Env, want) {
		t.Errorf("got %+v, want %+v", c.Env, want)
	}
	wantWarnings := []string{`environment variable HADOOP: left as it is: character 16: name "http@host:9600/kms": ` +
		`not a name that a KMS secret can have: 1 to 192 of A-Z a-z 0-9 _ / + = . @ -`}
	if got := warnings(c); !slices.Equal(got, wantWarnings) {
		t.Errorf("warnings: got %q, want %q", got, wantWarnings)
	}
}

// A name that nobody declared is no path.
func TestLoadScannedNameIsNoPath(t *testing.T) {
	t.Parallel()
	_, err := Load(Source{Environ: []string{"ALIBABA_CLOUD_REGION=cn-hangzhou", "../../A=kms://a?as=file"}})
	want := []string{"environment variable ../../A: as=file makes a file of the variable's name: want none with /"}
	if got := lines(t, err); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLoadScanFaults(t *testing.T) {
	t.Parallel()
	environ := []string{"ALIBABA_CLOUD_REGION=cn-hangzhou", "A=kms://a#jmes:b[", "B=kms://b?as=pipe"}
	_, err := Load(Source{Environ: environ})
	want := []string{
		`environment variable A: character 16: not JMESPath: Expected TOKStar, received: TOKEOF`,
		`environment variable B: character 9: option "as": want env, file or fd, got "pipe"`,
	}
	if got := lines(t, err); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c, err := Load(Source{Environ: environ, Overrides: []Override{{[]string{"scan_env"}, "false", "--no-scan-env"}}})
	if err != nil || len(c.Env) != 0 {
		t.Errorf("without scan: got %v, %v, want nothing", c.Env, err)
	}
}

func TestLoadWarnings(t *testing.T) {
	t.Parallel()
	const pinned = "kms://a?version=1 is pinned to a version: it never changes, managed secrets ignore it, and generic secrets keep only 10 versions"
	endpoint := func(url string) Override { return Override{[]string{"kms", "endpoint"}, url, "--endpoint"} }
	insecure := Override{[]string{"kms", "insecure_http"}, "true", "KMSRUN_INSECURE_HTTP"}
	region := "ALIBABA_CLOUD_REGION=cn-hangzhou"
	for name, test := range map[string]struct {
		src  Source
		want []string
	}{
		"pinned by a flag": {Source{
			Environ: []string{region}, Overrides: []Override{{[]string{"env", "A"}, "x${kms://a?version=1#k}", "--env A"}},
		}, []string{"--env A: " + pinned}},
		"pinned and inherited":         {Source{Environ: []string{region, "A=kms://a?version=1"}}, []string{"environment variable A: " + pinned}},
		"plain http":                   {Source{Overrides: []Override{endpoint("http://kms"), insecure}}, []string{"KMSRUN_INSECURE_HTTP: secrets travel in the clear"}},
		"plain http to this machine":   {Source{Overrides: []Override{endpoint("http://127.0.0.1:1"), insecure}}, nil},
		"insecure_http, but https yet": {Source{Overrides: []Override{endpoint("https://kms"), insecure}}, nil},
	} {
		c, err := Load(test.src)
		if got := warnings(c); !slices.Equal(got, test.want) || err != nil {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, test.want)
		}
	}
}

func TestUsesAndIDs(t *testing.T) {
	t.Parallel()
	c := Default()
	for name, text := range map[string]string{
		"Z": "kms://b", "A": "kms://b#k", "TWICE": "${kms://b#x}${kms://b#y}", "BOTH": "${kms://c?stage=s}${kms://a}", "PLAIN": "text",
	} {
		c.Env[name] = parsed(t, text)
	}
	c.Files.Items["b.txt"] = Item{From: parsed(t, "kms://b")}
	c.Files.Items["a.txt"] = Item{From: parsed(t, "${kms://b#k}, ${files_dir}")}
	a, b := ref("a", "").ID, ref("b", "").ID
	staged := secret.ID{Name: "c", Stage: "s"}
	wantUses := map[secret.ID][]string{
		a: {"env BOTH"}, b: {"env A", "env TWICE", "env Z", "file a.txt", "file b.txt"}, staged: {"env BOTH"},
	}
	if got := c.Uses(); !reflect.DeepEqual(got, wantUses) {
		t.Errorf("uses: got %v, want %v", got, wantUses)
	}
	if got, want := c.IDs(), []secret.ID{a, b, staged}; !slices.Equal(got, want) {
		t.Errorf("ids: got %v, want %v", got, want)
	}
}

func TestFixturesAreAllUsed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d fixtures, %v, want some", len(files), err)
	}
	for _, file := range files {
		if name := strings.TrimSuffix(strings.TrimPrefix(file, "testdata/invalid-"), ".yaml"); invalid[name] == nil && invalidShapes[name] == nil {
			t.Errorf("%s has no row in the table", file)
		}
	}
}
