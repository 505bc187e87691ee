package emulator

import (
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// xmlCall is a call in XML and its answer, with the request id taken out.
func (b *bench) xmlCall(action, format string, pairs ...string) (int, string) {
	b.t.Helper()
	p := b.signed(action, given(append(pairs, "Format", format)...))
	r := httptest.NewRequest(http.MethodPost, "http://kms.test/", strings.NewReader(form(p)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if got, want := w.Header().Get("Content-Type"), "text/xml;charset=utf-8"; got != want {
		b.t.Errorf("%s: Content-Type = %q, want %q", action, got, want)
	}
	return w.Code, strings.TrimPrefix(anonymous(w.Body.String()), "<?xml version='1.0' encoding='UTF-8'?>")
}

func TestXML(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, tc := range []struct {
		action, format string
		pairs          []string
		want           string
	}{
		{
			"CreateSecret", "XML",
			[]string{"SecretName", "s", "VersionId", "v1", "SecretData", "<&>\"\r\n\tü", "Tags", `[{"TagKey":"k","TagValue":"v"},{"TagKey":"l","TagValue":""}]`},
			"<KMS><Arn>acs:kms:cn-hangzhou:1000000000000001:secret/s</Arn><SecretName>s</SecretName><VersionId>v1</VersionId><SecretType>Generic</SecretType><RequestId>ID</RequestId></KMS>",
		},
		{
			"GetSecretValue", "xml",
			[]string{"SecretName", "s"},
			"<KMS><SecretName>s</SecretName><SecretType>Generic</SecretType><SecretData>&lt;&amp;&gt;&#34;&#xD;&#xA;&#x9;ü</SecretData><SecretDataType>text</SecretDataType><VersionId>v1</VersionId>" +
				"<VersionStages><VersionStage>ACSCurrent</VersionStage></VersionStages><CreateTime>2026-01-02T03:04:05Z</CreateTime><RequestId>ID</RequestId></KMS>",
		},
		{
			"ListSecrets", "Xml",
			[]string{"FetchTags", "true"},
			"<KMS><SecretList><Secret><SecretName>s</SecretName><SecretType>Generic</SecretType><CreateTime>2026-01-02T03:04:05Z</CreateTime><UpdateTime>2026-01-02T03:04:05Z</UpdateTime>" +
				"<Tags><Tag><TagKey>k</TagKey><TagValue>v</TagValue></Tag><Tag><TagKey>l</TagKey><TagValue></TagValue></Tag></Tags></Secret></SecretList>" +
				"<PageNumber>1</PageNumber><PageSize>10</PageSize><TotalCount>1</TotalCount><RequestId>ID</RequestId></KMS>",
		},
		{
			"ListSecrets", "XML",
			[]string{"PageNumber", "2"},
			"<KMS><SecretList></SecretList><PageNumber>2</PageNumber><PageSize>10</PageSize><TotalCount>1</TotalCount><RequestId>ID</RequestId></KMS>",
		},
		{
			"DescribeSecret", "XML",
			[]string{"SecretName", "x"},
			"<KMS><HttpStatus>404</HttpStatus><Code>Forbidden.ResourceNotFound</Code><Message>Resource not found</Message><RequestId>ID</RequestId><HostId>kms.test</HostId></KMS>",
		},
		{
			"DescribeSecret", "XML", nil,
			"<Error><RequestId>ID</RequestId><HostId>kms.test</HostId><Code>MissingSecretName</Code><Message>SecretName is mandatory for this action.</Message>" +
				"<Recommend>https://api.aliyun.com/troubleshoot?q=MissingSecretName&amp;product=Kms&amp;requestId=ID</Recommend></Error>",
		},
	} {
		if _, got := b.xmlCall(tc.action, tc.format, tc.pairs...); got != tc.want {
			t.Errorf("%s\n got %s\nwant %s", tc.action, got, tc.want)
		}
	}
}

// What XML can spell comes back as it was.
func TestXMLValue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	want := " a\r\nb\rc\t]]>&amp;<x/>'\"\u2028\U0001F511 "
	b.must("CreateSecret", "SecretName", "s", "VersionId", "v1", "SecretData", want)
	_, body := b.xmlCall("GetSecretValue", "XML", "SecretName", "s")
	var reply struct{ SecretData string }
	if err := xml.Unmarshal([]byte(body), &reply); err != nil {
		t.Fatal(err)
	}
	if got := reply.SecretData; got != want {
		t.Errorf("SecretData = %q, want %q", got, want)
	}
}
