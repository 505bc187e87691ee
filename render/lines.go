package render

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	plainWord    = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,-]+$`)
)

var (
	errNotName = errors.New("not a variable name: want letters, digits and _, not starting with a digit")
	errNotText = errors.New("the value is not UTF-8 text")
	errNUL     = errors.New("the value holds a NUL byte")
)

func checkVariable(key, value string) error {
	switch {
	case !variableName.MatchString(key):
		return errNotName
	case !utf8.ValidString(value):
		return errNotText
	case strings.Contains(value, "\x00"):
		return errNUL
	}
	return nil
}

// dotenvLine writes NAME=value for dotenv libraries, systemd's EnvironmentFile= and
// POSIX shells. Words that no reader could misread stay bare; single quotes make all
// else literal, newlines too; only a value that holds a single quote is in double
// quotes, with the escapes that all these readers know.
func dotenvLine(key, value string) (string, error) {
	if err := checkVariable(key, value); err != nil {
		return "", err
	}
	switch {
	case strings.Contains(value, "\r"):
		return "", errors.New("the value holds a carriage return, which dotenv readers turn into something else")
	case strings.HasSuffix(value, `\`):
		return "", errors.New("the value ends with a backslash, which some dotenv readers take for the escape of the quote behind it")
	case plainWord.MatchString(value):
		return key + "=" + value, nil
	case !strings.Contains(value, "'"):
		return key + "='" + value + "'", nil
	case strings.HasSuffix(value, `"`):
		return "", errors.New("the value holds a single quote and ends with a double one, which some dotenv readers take for two ends")
	default:
		return key + `="` + insideDoubleQuotes.Replace(value) + `"`, nil
	}
}

// insideDoubleQuotes are the escapes that dotenv readers, systemd and shells know.
var insideDoubleQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`")

// maxDockerLine is the longest line that docker reads (bufio.MaxScanTokenSize).
const maxDockerLine = 64<<10 - 2

// dockerLine writes NAME=value for docker run --env-file, which takes all behind the
// first = as it is, to the end of the line.
func dockerLine(key, value string) (string, error) {
	if err := checkVariable(key, value); err != nil {
		return "", err
	}
	switch {
	case strings.ContainsAny(value, "\r\n"):
		return "", errors.New("the value holds a line break, which docker's env-files have no way to write")
	case len(key)+1+len(value) > maxDockerLine:
		return "", fmt.Errorf("the line would be longer than docker's limit of %d bytes", maxDockerLine)
	}
	return key + "=" + value, nil
}

// propertiesLine writes key=value for Java's Properties.load, in ASCII: which
// encoding a reader takes differs.
func propertiesLine(key, value string) (string, error) {
	if !utf8.ValidString(key) || !utf8.ValidString(value) {
		return "", errNotText
	}
	return escapeProperty(key, true) + "=" + escapeProperty(value, false), nil
}

func escapeProperty(text string, key bool) string {
	var out strings.Builder
	for i, r := range text {
		switch {
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == '\f':
			out.WriteString(`\f`)
		case strings.ContainsRune(`\=:#!`, r), r == ' ' && (key || i == 0):
			out.WriteString(`\` + string(r))
		case r < ' ' || r > '~':
			for _, unit := range utf16Units(r) {
				fmt.Fprintf(&out, `\u%04X`, unit)
			}
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// utf16Units are the one or two units that Java writes a character in.
func utf16Units(r rune) []rune {
	if r < 0x10000 {
		return []rune{r}
	}
	high, low := utf16.EncodeRune(r)
	return []rune{high, low}
}
