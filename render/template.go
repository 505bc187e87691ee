package render

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/kmsrun/kmsrun/config"
)

// template executes a template over the secrets that it names.
func (r *renderer) template(t config.Template) ([]byte, error) {
	parsed, err := t.Parsed()
	if err != nil {
		return nil, fmt.Errorf("the template %s does not parse", t.Name) // config has told why
	}
	parsed = parsed.Funcs(template.FuncMap{"secret": func(arguments ...string) (string, error) {
		ref, err := t.Ref(arguments...)
		if err != nil {
			return "", &ownError{err}
		}
		value, err := r.reference(ref)
		if errors.Is(err, errAbsent) {
			return "", nil
		}
		if err != nil {
			return "", &ownError{err}
		}
		return string(value), nil
	}})
	var out strings.Builder
	if err := execute(parsed, t.Text, &out); err != nil {
		return nil, err
	}
	return []byte(out.String()), nil
}

// ownError is an error that quotes no value.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }

var (
	templatePlace = regexp.MustCompile(`^template: (.*?:\d+:\d+): `)
	calledFunc    = regexp.MustCompile(`: error calling (\w+): `)
)

var errTemplateFails = errors.New("it fails here, on the value of a secret or for want of a key (hasKey and dig look for one)")

// execute runs a template. What the functions say of their arguments is left out, for
// these are secrets; where it was is not. What its text holds is no secret.
func execute(t *template.Template, text string, out *strings.Builder) (err error) {
	defer func() {
		if recover() != nil { // a function of the library, such as repeat with a negative count
			err = errTemplateFails
		}
	}()
	err = t.Execute(out, nil)
	if err == nil {
		return nil
	}
	where, why := t.Name(), errTemplateFails
	if m := templatePlace.FindStringSubmatch(err.Error()); m != nil {
		where = m[1]
	}
	if own, ok := errors.AsType[*ownError](err); ok {
		why = own.error
	} else if m := calledFunc.FindStringSubmatch(err.Error()); m != nil && strings.Contains(text, m[1]) {
		why = fmt.Errorf("the function %s fails on what it is given", m[1])
	}
	return fmt.Errorf("%s: %w", where, why)
}
