package config

import (
	"reflect"
	"strings"
	"testing"

	"github.com/kmsrun/kmsrun/secret"
)

func parsed(t *testing.T, text string) Text {
	t.Helper()
	var out Text
	if err := out.UnmarshalText([]byte(text)); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func TestParseText(t *testing.T) {
	t.Parallel()
	arn := secret.Ref{ID: secret.ID{Region: "r", Account: "1", Name: "a", Stage: secret.StageCurrent}}
	pointer := ref("a", "")
	pointer.Selector = secret.Selector{Kind: secret.Pointer, Text: "/b|c}/d#e"}
	jmes := ref("a", "")
	jmes.Selector = secret.Selector{Kind: secret.JMES, Text: "jmes:b[?c=='|'] | [0]"}
	previous := ref("a", "k")
	previous.ID.Stage = "p"
	for text, want := range map[string][]Part{
		"":                     nil,
		"plain text":           {{Literal: "plain text"}},
		"kms://a#b}c":          {{Ref: ref("a", "b}c")}}, // no braces here that could end it
		"kms://a#b|c":          {{Ref: ref("a", "b|c")}},
		" kms://a":             {{Literal: " kms://a"}},
		"acs:kms:r:1:secret/a": {{Ref: arn}},

		"${kms://a}":                   {{Ref: ref("a", "")}},
		"${acs:kms:r:1:secret/a|trim}": {{Ref: arn, Filter: "trim"}},
		"${kms://a?stage=p#k|json}":    {{Ref: previous, Filter: "json"}},
		"${kms://a|base64}":            {{Ref: ref("a", ""), Filter: "base64"}},
		"x${kms://a#k}y${kms://b}":     {{Literal: "x"}, {Ref: ref("a", "k")}, {Literal: "y"}, {Ref: ref("b", "")}},
		"${kms://a}${kms://a}":         {{Ref: ref("a", "")}, {Ref: ref("a", "")}},
		"${kms://a#k'}":                {{Ref: ref("a", "k'")}},
		"${kms://a#it's|shell}":        {{Ref: ref("a", "it's"), Filter: "shell"}},
		"{${kms://a}}":                 {{Literal: "{"}, {Ref: ref("a", "")}, {Literal: "}"}},

		"${kms://a#'k'}":                            {{Ref: ref("a", "k")}},
		"${kms://a#'b|c}#d'}":                       {{Ref: ref("a", "b|c}#d")}},
		"${kms://a#'b|trim'|urlencode}":             {{Ref: ref("a", "b|trim"), Filter: "urlencode"}},
		"${kms://a#'/b|c}/d#e'|shell}tail":          {{Ref: pointer, Filter: "shell"}, {Literal: "tail"}},
		"${kms://a#'it''s'|trim}":                   {{Ref: ref("a", "it's"), Filter: "trim"}},
		"${kms://a#'jmes:b[?c==''|''] | [0]'|json}": {{Ref: jmes, Filter: "json"}},
		"'${kms://a#'k'}'":                          {{Literal: "'"}, {Ref: ref("a", "k")}, {Literal: "'"}},

		"${files_dir}":           {{FilesDir: true}},
		"a ${files_dir}/b":       {{Literal: "a "}, {FilesDir: true}, {Literal: "/b"}},
		"${files_dir}${kms://a}": {{FilesDir: true}, {Ref: ref("a", "")}},

		"$${kms://a}":                        {{Literal: "${kms://a}"}},
		"$${kms://a}${kms://b}":              {{Literal: "${kms://a}"}, {Ref: ref("b", "")}},
		"$${":                                {{Literal: "${"}},
		"$${x} $$ $":                         {{Literal: "${x} $$ $"}},
		"$HOME ${OTHER} $(x) ${OTHER:-$1} $": {{Literal: "$HOME ${OTHER} $(x) ${OTHER:-$1} $"}},
		"${files_dir":                        {{Literal: "${files_dir"}},
		"${FILES_DIR} ${KMS://a}":            {{Literal: "${FILES_DIR} ${KMS://a}"}},
		"${ kms://a}":                        {{Literal: "${ kms://a}"}},
		"price: 5$${kms://a":                 {{Literal: "price: 5${kms://a"}},
	} {
		if got := parsed(t, text); !reflect.DeepEqual(got.Parts, want) {
			t.Errorf("%s: got %+v, want %+v", text, got.Parts, want)
		}
	}
}

func TestParseTextRefuses(t *testing.T) {
	t.Parallel()
	const (
		unclosed = `a reference in ${} has no closing }`
		filters  = `: want urlencode, base64, json, shell, trim`
	)
	for text, want := range map[string]string{
		"kms://a b":                    `character 8: name "a b": ` + badName,
		"x ${kms://a b} y":             `character 12: name "a b": ` + badName,
		"${kms:a}":                     `character 3: not a reference: want kms://NAME or an ARN, got "kms:a"`,
		"${acs:kms:r:1:key/a}":         `character 3: "acs:kms:r:1:key/a": not a name that a KMS secret can have: want acs:kms:REGION:ACCOUNT:secret/NAME`,
		"${kms://a?as=x}":              `character 11: option "as": want env, file or fd, got "x"`,
		"${kms://a#}":                  `character 11: nothing after #: want a key of the secret, /a/b, jmes:EXPRESSION or *`,
		"${kms://a#''}":                `character 12: nothing after #: want a key of the secret, /a/b, jmes:EXPRESSION or *`,
		"${kms://a#|trim}":             `character 11: nothing after #: want a key of the secret, /a/b, jmes:EXPRESSION or *`,
		"${kms://a#jmes:a..b}":         `character 18: not JMESPath: Expected identifier, lbracket, or lbrace`,
		"é${kms://a#'jmes:it''s['}":    `character 23: not JMESPath: Unclosed delimiter: '`,
		"kms://a#jmes:length(a":        `character 22: not JMESPath: Incomplete expression`,
		"kms://a?stage=b#jmes:nope(b)": `character 22: not JMESPath: unknown function "nope"`,
		"x${kms://a":                   `character 2: ` + unclosed,
		"x${kms://a#b":                 `character 2: ` + unclosed,
		"x${kms://a#'b'":               `character 2: ` + unclosed,
		"x${kms://a#'b}":               `character 12: the quoted selector in ${} has no closing '`,
		"${kms://a#'b'c}":              `character 14: want |FILTER or } after the quoted selector in ${}`,
		"${kms://a#'b' |trim}":         `character 14: want |FILTER or } after the quoted selector in ${}`,
		"${kms://a|}":                  `character 11: unknown filter ""` + filters,
		"${kms://a#k|upper}":           `character 13: unknown filter "upper"` + filters,
		"${kms://a#b|c}":               `character 13: unknown filter "c"` + filters,
		"${kms://a|trim|json}":         `character 10: name "a|trim": ` + badName,
		"${kms://a#'k'|trim|json}":     `character 15: unknown filter "trim|json"` + filters,
		"${kms://a|trim#k}":            `character 11: unknown filter "trim#k"` + filters,
		"${kms://a} and ${kms://b|x}":  `character 26: unknown filter "x"` + filters,
	} {
		var got Text
		err := got.UnmarshalText([]byte(text))
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
		if got.Parts != nil {
			t.Errorf("%s: got %+v, want the text left alone", text, got)
		}
	}
}

// FuzzParseText holds that no text panics the parser, and that an error never
// quotes the text around a reference.
func FuzzParseText(f *testing.F) {
	const canary = "c4n4ry-l1t3r4l"
	for _, text := range []string{
		"", "//a", "//a#k|trim", "//a#'b|c}'|shell", "//a#'b", "//a b", "//a|x", "//a}${kms://b", "//a}$${", "//a}${files_dir", "a", "//a#/~2",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, inside string) {
		if strings.Contains(inside, canary) {
			t.Skip("the fuzzer has found the canary itself")
		}
		for _, text := range []string{
			inside, "kms:" + inside, "${kms:" + inside + "}",
			canary + "${kms:" + inside + "}" + canary,
			canary + "${acs:kms:" + inside + "}" + canary,
			canary + "${kms:" + inside,
		} {
			if _, err := parseText(text, secret.StageCurrent); err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("%q: got %q, want no text from around the reference", text, err)
			}
		}
	})
}
