package secret

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const optionsWanted = "stage=LABEL, version=ID, region=REGION, auth=PROFILE, as=env|file|fd, optional=true or default=TEXT"

// setOptions reads what stands between ? and #.
func (r *Ref) setOptions(options string) error {
	given := map[string]bool{}
	offset := 0
	for option := range strings.SplitSeq(options, "&") {
		name, value, _ := strings.Cut(option, "=")
		if given[name] {
			return Shift(options, offset, fmt.Errorf("option %q is given twice", name))
		}
		given[name] = true
		if err := r.setOption(name, value); err != nil {
			return Shift(options, offset, err)
		}
		if err := r.conflict(); err != nil {
			return Shift(options, offset, err)
		}
		offset += len(option) + 1
	}
	return nil
}

// conflict tells of options that can't stand together.
func (r *Ref) conflict() error {
	switch {
	case r.ID.Stage != "" && r.ID.Version != "":
		return errors.New("options stage and version exclude each other")
	case r.Optional && r.HasDefault:
		return errors.New("options optional and default exclude each other")
	}
	return nil
}

func (r *Ref) setOption(name, value string) (err error) {
	switch name {
	case "stage":
		r.ID.Stage = value
		return checkLabel(name, value, "a label or version id")
	case "version":
		r.ID.Version = value
		return checkLabel(name, value, "a label or version id")
	case "auth":
		r.ID.Auth = value
		return checkLabel(name, value, "the name of an auth profile")
	case "region":
		if r.ID.Account != "" {
			return errors.New("option \"region\": an ARN has its region already")
		}
		if len(value) > maxLabel || !regionName.MatchString(value) {
			return fmt.Errorf("option %q: %q is not a region", name, value)
		}
		r.ID.Region = value
	case "as":
		as, ok := map[string]As{"env": AsEnv, "file": AsFile, "fd": AsFD}[value]
		if !ok {
			return fmt.Errorf("option %q: want env, file or fd, got %q", name, value)
		}
		r.As = as
	case "optional":
		if value != "true" {
			return fmt.Errorf("option %q: want true, got %q", name, value)
		}
		r.Optional = true
	case "default":
		r.HasDefault = true
		r.Default, err = percentDecode(value)
	default:
		err = fmt.Errorf("unknown option %q: want %s", name, optionsWanted)
	}
	return err
}

// IsLabel tells whether text can be a stage label or a version id.
func IsLabel(text string) bool { return len(text) <= maxLabel && labelPattern.MatchString(text) }

func checkLabel(name, value, what string) error {
	if !IsLabel(value) {
		return fmt.Errorf("option %q: %q is not %s", name, value, what)
	}
	return nil
}

// percentDecode reads the text of a default. The error does not quote it: it may be
// a secret of its own.
func percentDecode(text string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			out.WriteByte(text[i])
			continue
		}
		n, err := strconv.ParseUint(text[i+1:min(i+3, len(text))], 16, 8)
		if err != nil || i+2 >= len(text) {
			return "", Shift("default="+text, len("default=")+i, errors.New("option \"default\": want %XX, two hexadecimal digits behind each %"))
		}
		out.WriteByte(byte(n))
		i += 2
	}
	return out.String(), nil
}

// percentEncode escapes all but RFC 3986's unreserved characters.
func percentEncode(text string) string {
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

// String is the reference to the whole secret; it parses back to the same ID.
func (id ID) String() string { return id.text(id.options(StageCurrent)) }

func (id ID) text(options []string) string {
	text := id.SecretName()
	if id.Account == "" {
		text = "kms://" + text
	}
	if len(options) > 0 {
		text += "?" + strings.Join(options, "&")
	}
	return text
}

// options are the options of the ID; a stage is not written where it is unsaid.
func (id ID) options(unsaid string) []string {
	var options []string
	option := func(name, value string) {
		if value != "" {
			options = append(options, name+"="+value)
		}
	}
	option("version", id.Version)
	if id.Stage != unsaid {
		option("stage", id.Stage)
	}
	if id.Account == "" {
		option("region", id.Region)
	}
	option("auth", id.Auth)
	return options
}

// String parses back to the same Ref.
func (r Ref) String() string {
	options := r.ID.options(StageCurrent)
	if r.As != AsEnv {
		options = append(options, "as="+string(r.As))
	}
	if r.Optional {
		options = append(options, "optional=true")
	}
	if r.HasDefault {
		options = append(options, "default="+percentEncode(r.Default))
	}
	text := r.ID.text(options)
	if r.Selector.Kind != Whole {
		text += "#" + r.Selector.Text
	}
	return text
}
