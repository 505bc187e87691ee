package render

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/kmsrun/kmsrun/config"
)

// envFrom makes the variables of all entries of env_from. What env declares wins over
// them, and they over inherited references.
func (r *renderer) envFrom() {
	made := map[string]string{} // which key each name comes from
	for _, from := range r.config.EnvFrom {
		if err := r.variablesOf(from, made); err != nil && !errors.Is(err, errAbsent) {
			r.fail("env_from "+from.Name(), err)
		}
	}
}

func (r *renderer) variablesOf(from config.EnvFrom, made map[string]string) error {
	ref, _ := from.From.Whole()
	document, err := r.selected(ref, selectJSON)
	if err != nil {
		return err
	}
	keys, values, err := texts(document)
	if err != nil {
		return fmt.Errorf("%s: %w", ref.ID, err)
	}
	for i, key := range keys {
		if len(from.Include) > 0 && !matches(from.Include, key) || matches(from.Exclude, key) {
			continue
		}
		name, err := variableOf(from, key)
		if err != nil {
			return err
		}
		if _, declared := r.config.Env[name]; declared && !r.config.Scanned[name] {
			continue
		}
		if earlier, taken := made[name]; taken {
			switch from.Collide {
			case "keep":
				continue
			case "replace":
			default:
				return fmt.Errorf("key %q makes the variable %s, and so does %s; collide: keep or replace would choose, exclude or prefix tell them apart", key, name, earlier)
			}
		}
		made[name] = fmt.Sprintf("key %q of %s", key, ref.ID)
		r.set(fmt.Sprintf("env_from %s: key %q", ref.ID, key), name, values[i])
	}
	return nil
}

// matches tells whether a key matches one of the globs. In a key a slash is a
// character like any other.
func matches(globs []string, key string) bool {
	flat := strings.NewReplacer("/", "\uffff")
	return slices.ContainsFunc(globs, func(glob string) bool {
		ok, err := path.Match(flat.Replace(glob), flat.Replace(key))
		return ok && err == nil
	})
}

// variableOf is the variable that an entry makes of a key. ASCII that no name may
// hold becomes _; what can't be mended so is refused.
func variableOf(from config.EnvFrom, key string) (string, error) {
	name := key
	if from.Case == "snake" {
		name = splitWords(name)
	}
	if from.Case == "snake" || from.Case == "upper" {
		name = strings.ToUpper(name)
	}
	name = from.Prefix + strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && r > ' ' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return '_'
		}
		return r
	}, name)
	if key == "" || !variableName.MatchString(name) {
		return "", fmt.Errorf("key %q makes no variable name: want ASCII letters, digits and _, not starting with a digit; exclude it, or set prefix", key)
	}
	return name, nil
}

// splitWords puts a _ between the words of camelCase.
func splitWords(name string) string {
	var out strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) {
			before := runes[i-1]
			endsAcronym := i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(before)
			if unicode.IsLower(before) || unicode.IsDigit(before) || endsAcronym {
				out.WriteByte('_')
			}
		}
		out.WriteRune(r)
	}
	return out.String()
}
