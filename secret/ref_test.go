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
		"kms://a#jmes:b[?c=='#d'] | [0]":        {ID: ID{Name: "a", Stage: "ACSCurrent"}, Selector: Selector{Kind: JMES, Text: "jmes:b[?c=='#d'] | [0]"}},
		"kms://a#*":                             {ID: ID{Name: "a", Stage: "ACSCurrent"}, Selector: Selector{Kind: All, Text: "*"}},
		"kms://a?as=file&optional=true#k":       {ID: ID{Name: "a", Stage: "ACSCurrent"}, As: AsFile, Optional: true, Selector: Selector{Kind: Key, Text: "k"}},
		"kms://a?stage=b&as=fd&default=":        {ID: ID{Name: "a", Stage: "b"}, As: AsFD, HasDefault: true},
		"kms://a?default=%20%23%26%3F%C3%A9":    {ID: ID{Name: "a", Stage: "ACSCurrent"}, HasDefault: true, Default: " #&?é"},
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

// A reference that says no stage is read at the default one, whatever that is.
func TestParseRefAt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ID{
		"kms://a#k":                {Name: "a", Stage: "ACSPrevious"},
		"kms://a?stage=ACSCurrent": {Name: "a", Stage: "ACSCurrent"},
		"kms://a?version=v1":       {Name: "a", Version: "v1"},
	} {
		if ref, err := ParseRefAt(text, "ACSPrevious"); ref.ID != want || err != nil {
			t.Errorf("%s: got %+v, %v, want %+v", text, ref.ID, err, want)
		}
	}
}

func TestParseRefRefuses(t *testing.T) {
	t.Parallel()
	const (
		badName  = ": not a name that a KMS secret can have: 1 to 192 of A-Z a-z 0-9 _ / + = . @ -"
		badARN   = ": not a name that a KMS secret can have: want acs:kms:REGION:ACCOUNT:secret/NAME"
		badLabel = " is not a label or version id"
		wanted   = ": want stage=LABEL, version=ID, region=REGION, auth=PROFILE, as=env|file|fd, optional=true or default=TEXT"
	)
	long := strings.Repeat("n", 193)
	for text, want := range map[string]string{
		"":                                   `1: not a reference: want kms://NAME or an ARN, got ""`,
		"db#key":                             `1: not a reference: want kms://NAME or an ARN, got "db"`,
		"kms:/db":                            `1: not a reference: want kms://NAME or an ARN, got "kms:/db"`,
		"KMS://db":                           `1: not a reference: want kms://NAME or an ARN, got "KMS://db"`,
		"kms://":                             `7: name ""` + badName,
		"kms://http@host:9600/kms":           `16: name "http@host:9600/kms"` + badName,
		"kms://a b":                          `8: name "a b"` + badName,
		"kms://a%2Fb":                        `8: name "a%2Fb"` + badName,
		"kms://a\n":                          `8: name "a\n"` + badName,
		"kms://é":                            `7: name "é"` + badName,
		"kms://" + long:                      `7: name "` + long + `"` + badName,
		"acs:kms:r:1:secret/":                `20: name ""` + badName,
		"acs:kms:r:1:secret/a:b":             `21: name "a:b"` + badName,
		"acs:kms:r:1:key/a":                  `1: "acs:kms:r:1:key/a"` + badARN,
		"acs:kms::1:secret/a":                `1: "acs:kms::1:secret/a"` + badARN,
		"acs:kms:r::secret/a":                `1: "acs:kms:r::secret/a"` + badARN,
		"acs:kms:R:1:secret/a?stage=b#c":     `1: "acs:kms:R:1:secret/a"` + badARN,
		"kms://a?":                           `9: unknown option ""` + wanted,
		"kms://a?Stage=b":                    `9: unknown option "Stage"` + wanted,
		"kms://a?as=env&opt=true":            `16: unknown option "opt"` + wanted,
		"kms://a?stage=b&":                   `17: unknown option ""` + wanted,
		"kms://a?stage":                      `9: option "stage": ""` + badLabel,
		"kms://a?version=":                   `9: option "version": ""` + badLabel,
		"kms://a?version=a b":                `9: option "version": "a b"` + badLabel,
		"kms://a?stage=" + long[:65]:         `9: option "stage": "` + long[:65] + `"` + badLabel,
		"kms://a?auth=":                      `9: option "auth": "" is not the name of an auth profile`,
		"kms://a?region=CN":                  `9: option "region": "CN" is not a region`,
		"acs:kms:r:1:secret/a?region=r":      `22: option "region": an ARN has its region already`,
		"kms://a?auth=b&auth=c":              `16: option "auth" is given twice`,
		"kms://a?stage=b&stage=b":            `17: option "stage" is given twice`,
		"kms://a?version=1&version=2":        `19: option "version" is given twice`,
		"kms://a?stage=b&version=1":          `17: options stage and version exclude each other`,
		"kms://a?version=1&stage=ACSCurrent": `19: options stage and version exclude each other`,
		"kms://a?as=pipe":                    `9: option "as": want env, file or fd, got "pipe"`,
		"kms://a?as":                         `9: option "as": want env, file or fd, got ""`,
		"kms://a?optional=yes":               `9: option "optional": want true, got "yes"`,
		"kms://a?optional=true&default=":     `23: options optional and default exclude each other`,
		"kms://a?default=b&optional=true":    `19: options optional and default exclude each other`,
		"kms://a?default=ab%2":               `19: option "default": want %XX, two hexadecimal digits behind each %`,
		"kms://a?default=%zz#k":              `17: option "default": want %XX, two hexadecimal digits behind each %`,
		"kms://a?default=%+1":                `17: option "default": want %XX, two hexadecimal digits behind each %`,
		"kms://a#":                           `9: nothing after #: want a key of the secret, /a/b, jmes:EXPRESSION or *`,
		"kms://a#jmes:":                      `14: nothing after jmes:: want a JMESPath expression`,
		"kms://a#/b~2":                       `11: selector "/b~2": ~ must be written ~0, and / inside a key ~1 (RFC 6901)`,
		"kms://a#/é/~~00":                    `12: selector "/é/~~00": ~ must be written ~0, and / inside a key ~1 (RFC 6901)`,
	} {
		_, err := ParseRef(text)
		if want = "character " + want; err == nil || err.Error() != want {
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
		"kms://a#b?c#d", "kms://a?stage=b&version=1", "kms://a#*", "acs:kms:r:1:key/a", "kms://a?region=eu-1&auth=b", "acs:kms:r:1:secret/a?auth=b&version=1", "kms://a#'b|c'", "kms://a?as=file&optional=true#jmes:a.b", "kms://a?as=fd&default=%41%00b#*", "kms://http@host:9600/kms",
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
