package emulator

import (
	"crypto/rand"
	"math/big"
	"strings"
)

const (
	lower       = "abcdefghijklmnopqrstuvwxyz"
	upper       = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters     = lower + upper
	digits      = "0123456789"
	punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
)

// random returns a number below n.
func random(n int) int {
	i, _ := rand.Int(rand.Reader, big.NewInt(int64(n))) // never fails: the runtime ends the program instead
	return int(i.Int64())
}

func randomText(n int, alphabet string) string {
	text := make([]byte, n)
	for i := range text {
		text[i] = alphabet[random(len(alphabet))]
	}
	return string(text)
}

// password makes n characters of the classes; with each, at least one of every class.
func password(n int, classes []string, each bool) string {
	text := []byte(randomText(n, strings.Join(classes, "")))
	if !each {
		return string(text)
	}
	for i, class := range classes {
		text[i] = class[random(len(class))]
	}
	for i := range text {
		j := i + random(n-i)
		text[i], text[j] = text[j], text[i]
	}
	return string(text)
}

// newPassword follows what databases ask for: up to 32 characters, of three classes, of the punctuation not all.
func newPassword() string {
	return password(32, []string{lower, upper, digits, "!@#$%^&*()_+-="}, true)
}

type passwordReply struct {
	RandomPassword string `json:"RandomPassword"`
	RequestID      string `json:"RequestId"`
}

// getRandomPassword excludes characters one by one and by class. What is left must be something.
func getRandomPassword(c call) (any, error) {
	length, err := c.params.integer("PasswordLength", 32, 8, 128)
	if err != nil {
		return nil, err
	}
	each, err := c.params.boolean("RequireEachIncludedType")
	if err != nil {
		return nil, err
	}
	var classes []string
	for _, class := range []struct{ exclude, alphabet string }{
		{"ExcludeLowercase", lower}, {"ExcludeUppercase", upper}, {"ExcludeNumbers", digits}, {"ExcludePunctuation", punctuation},
	} {
		excluded, err := c.params.boolean(class.exclude)
		if err != nil {
			return nil, err
		}
		alphabet := strings.Map(func(r rune) rune {
			if strings.ContainsRune(c.params["ExcludeCharacters"], r) {
				return -1
			}
			return r
		}, class.alphabet)
		if !excluded && alphabet != "" {
			classes = append(classes, alphabet)
		}
	}
	if len(classes) == 0 {
		return nil, invalid("ExcludeCharacters")
	}
	return passwordReply{RandomPassword: password(length, classes, each), RequestID: c.requestID}, nil
}
