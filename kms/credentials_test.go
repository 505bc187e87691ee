package kms

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	none := errNoKey.Error()
	const halfID = `reading secret "": no credentials (ALIBABA_CLOUD_ACCESS_KEY_ID is set): set ALIBABA_CLOUD_ACCESS_KEY_SECRET too`
	for _, test := range []struct {
		name, environment string
		want              string // id/secret/token, or the error
	}{
		{"nothing", "", none},
		{"a token alone", "ALIBABA_CLOUD_SECURITY_TOKEN=t", none},
		{"empty ones", "ALIBABA_CLOUD_ACCESS_KEY_ID= ALIBABA_CLOUD_ACCESS_KEY_SECRET=", none},
		{"access key", "ALIBABA_CLOUD_ACCESS_KEY_ID=i ALIBABA_CLOUD_ACCESS_KEY_SECRET=s", "i/s/"},
		{"STS token", "ALIBABA_CLOUD_ACCESS_KEY_ID=i ALIBABA_CLOUD_ACCESS_KEY_SECRET=s ALIBABA_CLOUD_SECURITY_TOKEN=t", "i/s/t"},
		{"an empty token", "ALIBABA_CLOUD_ACCESS_KEY_ID=i ALIBABA_CLOUD_ACCESS_KEY_SECRET=s ALIBABA_CLOUD_SECURITY_TOKEN=", "i/s/"},
		{"second spelling", "ALICLOUD_ACCESS_KEY_ID=i ALICLOUD_ACCESS_KEY_SECRET=s ALICLOUD_SECURITY_TOKEN=t", "i/s/t"},
		{"third spelling", "ALICLOUD_ACCESS_KEY=i ALICLOUD_SECRET_KEY=s ALICLOUD_SECURITY_TOKEN=t", "i/s/t"},
		{"the first spelling wins", "ALICLOUD_ACCESS_KEY=i3 ALICLOUD_SECRET_KEY=s3 ALIBABA_CLOUD_ACCESS_KEY_ID=i ALIBABA_CLOUD_ACCESS_KEY_SECRET=s", "i/s/"},
		{"spellings don't mix", "ALIBABA_CLOUD_ACCESS_KEY_ID=i ALICLOUD_ACCESS_KEY_SECRET=s", halfID},
		{"no secret", "ALIBABA_CLOUD_ACCESS_KEY_ID=i", halfID},
		{"no id", "ALICLOUD_SECRET_KEY=s", `reading secret "": no credentials (ALICLOUD_SECRET_KEY is set): set ALICLOUD_ACCESS_KEY too`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			environment := map[string]string{}
			for pair := range strings.FieldsSeq(test.environment) {
				name, value, _ := strings.Cut(pair, "=")
				environment[name] = value
			}
			c, err := fromEnvironment(func(name string) (string, bool) {
				value, ok := environment[name]
				return value, ok
			})
			var got string
			if err != nil {
				got = err.Error()
			} else {
				got = c.id + "/" + c.secret() + "/"
				if c.token != nil {
					got += c.token()
				}
			}
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	got := " " + strings.Join(Variables(), " ") + " "
	for _, want := range []string{"ALIBABA_CLOUD_ACCESS_KEY_ID", "ALICLOUD_SECRET_KEY", "ALICLOUD_SECURITY_TOKEN"} {
		if !strings.Contains(got, " "+want+" ") {
			t.Errorf("got%s, want %s among them", got, want)
		}
	}
}

func TestCredentialsCannotBePrinted(t *testing.T) {
	t.Parallel()
	c := withToken()
	type holder struct{ c Credentials }
	for name, shape := range map[string]any{
		"value": c, "pointer": &c, "list": []Credentials{c}, "map": map[string]Credentials{"c": c},
		"field": holder{c}, "pointer to field": &holder{c},
	} {
		var texts []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%t"} {
			texts = append(texts, fmt.Sprintf(verb, shape))
		}
		encoded, _ := json.Marshal(shape)
		var logged strings.Builder
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "c", shape)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "c", shape)
		for _, text := range append(texts, string(encoded), logged.String()) {
			if strings.Contains(text, keySecret) || strings.Contains(text, tokenCanary) {
				t.Errorf("%s: a secret in %s", name, text)
			}
		}
	}
}
