package secret

import (
	"errors"
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 192)
	for text, want := range map[string]Ref{
		"kms://prod/db":                         {ID: ID{Name: "prod/db", Stage: "ACSCurrent"}},
		"kms://a/_+=.@-Z9":                      {ID: ID{Name: "a/_+=.@-Z9", Stage: "ACSCurrent"}},
		"kms:///a//b/":                          {ID: ID{Name: "/a//b/", Stage: "ACSCurrent"}},
		"kms://" + long:                         {ID: ID{Name: long, Stage: "ACSCurrent"}},
		"kms://db?stage=ACSPrevious":            {ID: ID{Name: "db", Stage: "ACSPrevious"}},
		"kms://db?version=v1:a/b+c=d.e@f_g":     {ID: ID{Name: "db", Version: "v1:a/b+c=d.e@f_g"}},
		"kms://user@host?version=1#key":         {ID: ID{Name: "user@host", Version: "1"}, Selector: Selector{Kind: Key, Text: "key"}},
		"kms://db#tls.crt":                      {ID: ID{Name: "db", Stage: "ACSCurrent"}, Selector: Selector{Kind: Key, Text: "tls.crt"}},
		"kms://db#a/b":                          {ID: ID{Name: "db", Stage: "ACSCurrent"}, Selector: Selector{Kind: Key, Text: "a/b"}},
		"kms://db#a#b?stage=c":                  {ID: ID{Name: "db", Stage: "ACSCurrent"}, Selector: Selector{Kind: Key, Text: "a#b?stage=c"}},
		"kms://db#a~2":                          {ID: ID{Name: "db", Stage: "ACSCurrent"}, Selector: Selector{Kind: Key, Text: "a~2"}},
		"kms://db#/a~1b/~01/0":                  {ID: ID{Name: "db", Stage: "ACSCurrent"}, Selector: Selector{Kind: Pointer, Text: "/a~1b/~01/0"}},
		"kms://db#ключ":                         {ID: ID{Name: "db", Stage: "ACSCurrent"}, Selector: Selector{Kind: Key, Text: "ключ"}},
		"acs:kms:cn-hangzhou:123:secret/a/b":    {ID: ID{Region: "cn-hangzhou", Account: "123", Name: "a/b", Stage: "ACSCurrent"}},
		"acs:kms:eu-1:1:secret/a?stage=b#/c":    {ID: ID{Region: "eu-1", Account: "1", Name: "a", Stage: "b"}, Selector: Selector{Kind: Pointer, Text: "/c"}},
		"kms://a?stage=b&region=eu-1&auth=au":   {ID: ID{Auth: "au", Region: "eu-1", Name: "a", Stage: "b"}},
		"kms://a?region=eu-1":                   {ID: ID{Region: "eu-1", Name: "a", Stage: "ACSCurrent"}},
		"acs:kms:eu-1:1:secret/a?auth=audit#k":  {ID: ID{Auth: "audit", Region: "eu-1", Account: "1", Name: "a", Stage: "ACSCurrent"}, Selector: Selector{Kind: Key, Text: "k"}},
		"acs:kms:eu-1:1:secret/secret/a@1.2+3=": {ID: ID{Region: "eu-1", Account: "1", Name: "secret/a@1.2+3=", Stage: "ACSCurrent"}},
	} {
		got, err := ParseRef(text)
		if err != nil || got != want {
			t.Errorf("ParseRef(%q): got %+v, %v, want %+v", text, got, err, want)
		}
		if got := want.String(); got != text {
			t.Errorf("String: got %q, want %q", got, text)
		}
	}
}

// The default stage is written as no stage, so that one secret has one text.
func TestDefaultStageIsNotWritten(t *testing.T) {
	t.Parallel()
	ref, err := ParseRef("kms://db?stage=ACSCurrent#k")
	if got, want := ref.String(), "kms://db#k"; got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestParseRefRefuses(t *testing.T) {
	t.Parallel()
	const (
		badName  = ": not a name that a KMS secret can have: 1 to 192 of A-Z a-z 0-9 _ / + = . @ -"
		badARN   = ": not a name that a KMS secret can have: want acs:kms:REGION:ACCOUNT:secret/NAME"
		badLabel = " is not a label or version id"
	)
	long := strings.Repeat("n", 193)
	for text, want := range map[string]string{
		"":                                   `not a reference: want kms://NAME or an ARN, got ""`,
		"db#key":                             `not a reference: want kms://NAME or an ARN, got "db"`,
		"kms:/db":                            `not a reference: want kms://NAME or an ARN, got "kms:/db"`,
		"KMS://db":                           `not a reference: want kms://NAME or an ARN, got "KMS://db"`,
		"kms://":                             `name ""` + badName,
		"kms://http@host:9600/kms":           `name "http@host:9600/kms"` + badName,
		"kms://a b":                          `name "a b"` + badName,
		"kms://a%2Fb":                        `name "a%2Fb"` + badName,
		"kms://a\n":                          `name "a\n"` + badName,
		"kms://é":                            `name "é"` + badName,
		"kms://" + long:                      `name "` + long + `"` + badName,
		"acs:kms:r:1:secret/":                `name ""` + badName,
		"acs:kms:r:1:secret/a:b":             `name "a:b"` + badName,
		"acs:kms:r:1:key/a":                  `"acs:kms:r:1:key/a"` + badARN,
		"acs:kms::1:secret/a":                `"acs:kms::1:secret/a"` + badARN,
		"acs:kms:r::secret/a":                `"acs:kms:r::secret/a"` + badARN,
		"acs:kms:R:1:secret/a?stage=b#c":     `"acs:kms:R:1:secret/a"` + badARN,
		"kms://a?":                           `unknown option "": want stage=LABEL, version=ID, region=REGION or auth=PROFILE`,
		"kms://a?Stage=b":                    `unknown option "Stage": want stage=LABEL, version=ID, region=REGION or auth=PROFILE`,
		"kms://a?optional=true":              `unknown option "optional": want stage=LABEL, version=ID, region=REGION or auth=PROFILE`,
		"kms://a?stage=b&":                   `unknown option "": want stage=LABEL, version=ID, region=REGION or auth=PROFILE`,
		"kms://a?stage":                      `option "stage": ""` + badLabel,
		"kms://a?version=":                   `option "version": ""` + badLabel,
		"kms://a?version=a b":                `option "version": "a b"` + badLabel,
		"kms://a?stage=" + long[:65]:         `option "stage": "` + long[:65] + `"` + badLabel,
		"kms://a?auth=":                      `option "auth": "" is not the name of an auth profile`,
		"kms://a?region=CN":                  `option "region": "CN" is not a region`,
		"acs:kms:r:1:secret/a?region=r":      `option "region": an ARN has its region already`,
		"kms://a?auth=b&auth=c":              `option "auth" is given twice`,
		"kms://a?stage=b&stage=b":            `option "stage" is given twice`,
		"kms://a?version=1&version=2":        `option "version" is given twice`,
		"kms://a?stage=b&version=1":          `options stage and version exclude each other`,
		"kms://a?version=1&stage=ACSCurrent": `options stage and version exclude each other`,
		"kms://a#":                           `nothing after #: want a key of the secret, or /a/b`,
		"kms://a#*":                          `selector "*" is not supported: want a key of the secret, or /a/b`,
		"kms://a#jmes:b.c":                   `selector "jmes:b.c" is not supported: want a key of the secret, or /a/b`,
		"kms://a#/b~2":                       `selector "/b~2": ~ must be written ~0, and / inside a key ~1 (RFC 6901)`,
		"kms://a#/~~00":                      `selector "/~~00": ~ must be written ~0, and / inside a key ~1 (RFC 6901)`,
	} {
		_, err := ParseRef(text)
		if err == nil || err.Error() != want {
			t.Errorf("ParseRef(%q): got %v, want %s", text, err, want)
		}
		if got, want := errors.Is(err, ErrName), (strings.HasSuffix(want, badName) || strings.HasSuffix(want, badARN)); got != want {
			t.Errorf("ParseRef(%q): is ErrName: got %t, want %t", text, got, want)
		}
	}
}

func TestIsReference(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"kms://a": true, "kms://": true, "acs:kms:r:1:key/a": true,
		"": false, " kms://a": false, "kms:/a": false, "acs:ram::1:role/a": false, "${kms://a}": false,
	} {
		if got := IsReference(text); got != want {
			t.Errorf("IsReference(%q): got %t, want %t", text, got, want)
		}
	}
}

func TestIDParameters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		name   string
		pinned bool
	}{
		"kms://a/b?stage=c#d":          {"a/b", false},
		"kms://a/b?version=1":          {"a/b", true},
		"acs:kms:r:1:secret/a/b#c":     {"acs:kms:r:1:secret/a/b", false},
		"acs:kms:r:1:secret/a?stage=b": {"acs:kms:r:1:secret/a", false},
	} {
		ref, err := ParseRef(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := ref.ID.SecretName(); got != want.name {
			t.Errorf("%s: SecretName: got %q, want %q", text, got, want.name)
		}
		if got := ref.ID.Pinned(); got != want.pinned {
			t.Errorf("%s: Pinned: got %t, want %t", text, got, want.pinned)
		}
	}
}

func FuzzParseRef(f *testing.F) {
	for _, text := range []string{
		"kms://prod/db", "kms://a?stage=ACSCurrent#k", "kms://a?version=1#/a~1b/~0", "acs:kms:cn-hangzhou:123:secret/a/b?stage=c#d",
		"kms://a#b?c#d", "kms://a?stage=b&version=1", "kms://a#*", "acs:kms:r:1:key/a", "kms://a?region=eu-1&auth=b", "acs:kms:r:1:secret/a?auth=b&version=1", "kms://a#'b|c'", "kms://http@host:9600/kms",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := ParseRef(text)
		if err != nil {
			return
		}
		if !IsReference(text) {
			t.Errorf("ParseRef(%q) takes what IsReference does not", text)
		}
		if got, err := ParseRef(ref.String()); err != nil || got != ref {
			t.Errorf("%q by way of %q: got %+v, %v, want %+v", text, ref, got, err, ref)
		}
	})
}
