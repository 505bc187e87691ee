package emulator

import (
	"regexp"
	"strings"
	"testing"
)

func TestRandomPassword(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, tc := range []struct {
		pairs []string
		want  string // a pattern
	}{
		{nil, `^[!-~]{32}$`},
		{[]string{"PasswordLength", "8"}, `^[!-~]{8}$`},
		{[]string{"PasswordLength", "128", "ExcludePunctuation", "TRUE"}, `^[A-Za-z0-9]{128}$`},
		{[]string{"ExcludeLowercase", "true", "ExcludeUppercase", "true"}, `^[^A-Za-z]{32}$`},
		{[]string{"ExcludeNumbers", "true", "ExcludeCharacters", "abcXYZ/ü"}, `^[^0-9abcXYZ/]{32}$`},
		{[]string{"ExcludeLowercase", "true", "ExcludeUppercase", "true", "ExcludePunctuation", "true", "ExcludeCharacters", "012345678"}, `^9{32}$`},
	} {
		var reply passwordReply
		decode(t, b.must("GetRandomPassword", tc.pairs...), &reply)
		if got := reply.RandomPassword; !regexp.MustCompile(tc.want).MatchString(got) {
			t.Errorf("%q: password %q, want %s", tc.pairs, got, tc.want)
		}
	}
	refused(t, []refusal{
		{"GetRandomPassword", []string{"PasswordLength", "7"}, refusedInvalid("PasswordLength")},
		{"GetRandomPassword", []string{"PasswordLength", "129"}, refusedInvalid("PasswordLength")},
		{"GetRandomPassword", []string{"ExcludeNumbers", "1"}, refusedInvalid("ExcludeNumbers")},
		{"GetRandomPassword", []string{"RequireEachIncludedType", "1"}, refusedInvalid("RequireEachIncludedType")},
		{"GetRandomPassword", []string{"ExcludeLowercase", "true", "ExcludeUppercase", "true", "ExcludePunctuation", "true", "ExcludeNumbers", "true"}, refusedInvalid("ExcludeCharacters")},
	})
}

// Eight characters of four classes lack one class often enough for two hundred tries to show it.
func TestRandomPasswordOfEachClass(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 200 {
		var reply passwordReply
		decode(t, b.must("GetRandomPassword", "PasswordLength", "8", "RequireEachIncludedType", "true"), &reply)
		for _, class := range []string{lower, upper, digits, punctuation} {
			if !strings.ContainsAny(reply.RandomPassword, class) {
				t.Fatalf("password %q has nothing of %s", reply.RandomPassword, class)
			}
		}
	}
}
