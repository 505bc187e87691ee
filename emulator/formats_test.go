package emulator

import (
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// everyAction is a call of each action that succeeds, in an order in which they can.
func everyAction(b *bench) [][]string {
	k := b.store.keys["k"]
	blob := base64.StdEncoding.EncodeToString(k.seal([]byte("x"), nil))
	many := []string{"RegionId", "r", "ResourceType", "key", "ResourceId.1", "k"}
	const policy = `{"Version":"1","Statement":[{"Action":["kms:*"],"Resource":["*"],"Effect":"Allow","Principal":{"RAM":["acs:ram::1:*"]}}]}`
	return [][]string{
		{"CreateSecret", "SecretName", "a", "SecretData", "<&> \"a\"", "VersionId", "v1", "DKMSInstanceId", "kst", "Tags", `[{"TagKey":"t","TagValue":"u"}]`},
		{"PutSecretValue", "SecretName", "a", "SecretData", "b", "VersionId", "v2"},
		{"UpdateSecretVersionStage", "SecretName", "a", "VersionStage", "x", "MoveToVersion", "v1"},
		{"GetSecretValue", "SecretName", "a", "VersionStage", "x"},
		{"DescribeSecret", "SecretName", "a", "FetchTags", "true"},
		{"ListSecrets", "FetchTags", "true"},
		{"ListSecretVersionIds", "SecretName", "a"},
		{"UpdateSecret", "SecretName", "a", "Description", "d"},
		{"SetSecretPolicy", "SecretName", "a", "Policy", policy},
		{"GetSecretPolicy", "SecretName", "a"},
		{"UpdateSecretRotationPolicy", "SecretName", "m", "EnableAutomaticRotation", "true", "RotationInterval", "7d"},
		{"RotateSecret", "SecretName", "m", "VersionId", "v2"},
		{"DeleteSecret", "SecretName", "a"},
		{"RestoreSecret", "SecretName", "a"},
		{"GetRandomPassword"},
		{"CreateKey", "DKMSInstanceId", "kst", "Policy", policy},
		{"DescribeKey", "KeyId", "k"},
		{"ListKeys", "Filters", `[{"Key":"DKMSInstanceId","Values":["none"]}]`},
		{"UpdateKeyDescription", "KeyId", "k", "Description", "d"},
		{"DisableKey", "KeyId", "k"},
		{"EnableKey", "KeyId", "k"},
		{"UpdateRotationPolicy", "KeyId", "k", "EnableAutomaticRotation", "true"},
		{"CreateKeyVersion", "KeyId", "k"},
		{"ListKeyVersions", "KeyId", "k"},
		{"ScheduleKeyDeletion", "KeyId", "k", "PendingWindowInDays", "7"},
		{"CancelKeyDeletion", "KeyId", "k"},
		{"SetDeletionProtection", "KeyId", "k", "EnableDeletionProtection", "true"},
		{"SetKeyPolicy", "KeyId", "i", "Policy", policy},
		{"GetKeyPolicy", "KeyId", "i"},
		{"CreateAlias", "KeyId", "k", "AliasName", "alias/a"},
		{"UpdateAlias", "KeyId", "i", "AliasName", "alias/a"},
		{"ListAliases"},
		{"DeleteAlias", "AliasName", "alias/a"},
		{"Encrypt", "KeyId", "k", "Plaintext", "YQ=="},
		{"Decrypt", "CiphertextBlob", blob},
		{"GenerateDataKey", "KeyId", "k"},
		{"GenerateDataKeyWithoutPlaintext", "KeyId", "k"},
		{"TagResource", "KeyId", "k", "Tags", `[{"TagKey":"a","TagValue":"b"}]`},
		append([]string{"TagResources", "Tag.1.Key", "c", "Tag.1.Value", "d"}, many...),
		{"ListResourceTags", "KeyId", "k"},
		append([]string{"ListTagResources"}, many...),
		{"UntagResource", "KeyId", "k", "TagKeys", `["a"]`},
		append([]string{"UntagResources", "All", "true"}, many...),
	}
}

func formatBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.store.addKey(newKey("k", ""))
	inside := newKey("i", "")
	inside.instance = "kst"
	b.store.addKey(inside)
	b.sample("Rds SingleUser", "SecretName", "m")
	return b
}

// jsonLeaves are the texts of an answer, each under its path.
func jsonLeaves(path string, v any, into []string) []string {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			into = jsonLeaves(path+"/"+key, v[key], into)
		}
	case []any:
		for _, item := range v {
			into = jsonLeaves(path, item, into)
		}
	default:
		if text := fmt.Sprint(v); text != "" {
			into = append(into, path+"="+text)
		}
	}
	return into
}

// xmlLeaves are the same of the elements below the root, whose name comes first.
func xmlLeaves(t *testing.T, text string) (root string, leaves []string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	var path []string
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return root, leaves
		}
		if err != nil {
			t.Fatalf("not XML: %v in %s", err, text)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if root == "" {
				root = token.Name.Local
				continue
			}
			path = append(path, token.Name.Local)
		case xml.EndElement:
			path = path[:max(0, len(path)-1)]
		case xml.CharData:
			leaves = append(leaves, "/"+strings.Join(path, "/")+"="+string(token))
		}
	}
}

// Each action tells in XML what it tells in JSON, and so does its refusal.
func TestEveryActionInBothFormats(t *testing.T) {
	t.Parallel()
	inJSON, inXML := formatBench(t), formatBench(t)
	missing := maps.Clone(actions)
	plain := func(leaves []string) string {
		for i, leaf := range leaves {
			path, _, _ := strings.Cut(leaf, "=")
			if name := path[strings.LastIndex(path, "/")+1:]; slices.Contains([]string{"Plaintext", "CiphertextBlob", "RandomPassword"}, name) {
				leaf = path + "=..."
			}
			leaves[i] = anonymous(leaf)
		}
		slices.Sort(leaves)
		return strings.Join(leaves, "\n")
	}
	compare := func(root string, first, second []string) {
		t.Helper()
		status, body := inJSON.call(first[0], first[1:]...)
		var tree any
		decode(t, body, &tree)
		got, text := inXML.xmlCall(second[0], "XML", second[1:]...)
		name, leaves := xmlLeaves(t, text)
		if want := plain(jsonLeaves("", tree, nil)); got != status || name != root || plain(leaves) != want {
			t.Errorf("%s\n XML %d <%s>\n%s\nJSON %d\n%s", first[0], got, name, plain(leaves), status, want)
		}
	}
	second := everyAction(inXML)
	for i, first := range everyAction(inJSON) {
		delete(missing, first[0])
		compare("KMS", first, second[i])
		compare("Error", []string{first[0], "SecurityToken", "x"}, []string{first[0], "SecurityToken", "x"})
	}
	if len(missing) > 0 {
		t.Errorf("not called: %q", slices.Sorted(maps.Keys(missing)))
	}
}

func TestAccept(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ format, accept, want string }{
		{"", "", "application/json"},
		{"", "*/*", "application/json"},
		{"", "application/json", "application/json"},
		{"", "application/xml", "text/xml"},
		{"", "text/xml; charset=utf-8", "text/xml"},
		{"", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/xml"},
		{"", "application/json;q=0.5, text/xml", "text/xml"},
		{"", "application/xml, application/json", "text/xml"},
		{"", "application/json, application/xml", "application/json"},
		{"", "text/plain", "application/json"},
		{"", ";;, application/xml;q=x", "application/json"},
		{"JSON", "application/xml", "application/json"},
		{"json", "application/xml", "application/json"},
		{"xml", "application/json", "text/xml"},
	} {
		b := newBench(t)
		r := b.request(b.signed("ListKeys", given("Format", tc.format)))
		r.Header.Set("Accept", tc.accept)
		w := httptest.NewRecorder()
		b.ServeHTTP(w, r)
		if got := strings.TrimSuffix(w.Header().Get("Content-Type"), ";charset=utf-8"); got != tc.want || w.Code != http.StatusOK {
			t.Errorf("Format %q, Accept %q: %d %s, want 200 %s", tc.format, tc.accept, w.Code, got, tc.want)
		}
		if isJSON := json.Valid(w.Body.Bytes()); isJSON != (tc.want == "application/json") {
			t.Errorf("Format %q, Accept %q: the body is not what it says", tc.format, tc.accept)
		}
	}
}
