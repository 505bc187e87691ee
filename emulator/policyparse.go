package emulator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// policyKind tells the grammars of policies apart.
type policyKind int

const (
	identityPolicy policyKind = iota // of a user or role, or the limit of a session
	secretPolicy                     // of a secret: names principals
)

// texts is a list of strings, or one string alone.
type texts []string

func (t *texts) UnmarshalJSON(text []byte) error {
	var one *string
	if json.Unmarshal(text, &one) == nil && one != nil {
		*t = texts{*one}
	} else if err := json.Unmarshal(text, (*[]string)(t)); err != nil {
		return err
	}
	if len(*t) == 0 || slices.Contains(*t, "") { // null is no list either: a Deny of nothing would allow
		return errors.New("want a string or a list of strings")
	}
	return nil
}

// exactKeys refuses keys in another case, which encoding/json would take for ours, and doubled ones, of which it would
// take the last: RAM's names are exact, and a second Effect must not undo the first.
func exactKeys(text string, known ...string) error {
	dec := json.NewDecoder(strings.NewReader(text))
	type level struct {
		object, value bool // value: the next token is one, not a key
		seen          map[string]bool
	}
	var stack []level
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		top := len(stack) - 1
		if top >= 0 && stack[top].object && !stack[top].value && token != json.Delim('}') {
			key := token.(string)
			if stack[top].seen[key] || slices.ContainsFunc(known, func(k string) bool { return k != key && strings.EqualFold(k, key) }) {
				return errors.New("a doubled key, or one in another case")
			}
			stack[top].seen[key], stack[top].value = true, true
			continue
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			stack = append(stack, level{object: token == json.Delim('{'), seen: map[string]bool{}})
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
		}
		if top := len(stack) - 1; top >= 0 {
			stack[top].value = false
		}
	}
}

type policyJSON struct {
	Version   string          `json:"Version"`
	Statement []statementJSON `json:"Statement"`
}

type statementJSON struct {
	Sid       string                      `json:"Sid"`
	Effect    string                      `json:"Effect"`
	Action    texts                       `json:"Action"`
	Resource  texts                       `json:"Resource"`
	Principal map[string]texts            `json:"Principal"`
	Condition map[string]map[string]texts `json:"Condition"`
}

// policyError is what is wrong with a policy, and in which statement, counted from 0; -1 is outside of them. It holds
// nothing of the policy's own text but names of conditions.
type policyError struct {
	statement int
	text      string
}

func (e *policyError) Error() string {
	if e.statement < 0 {
		return e.text
	}
	return fmt.Sprintf("statement %d: %s", e.statement+1, e.text)
}

// parsePolicy reads a RAM policy document. What we can't evaluate is refused: half a policy would be another one.
func parsePolicy(text string, kind policyKind) (policy, error) {
	var doc policyJSON
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	err := exactKeys(text, "Version", "Statement", "Sid", "Effect", "Action", "Resource", "Principal", "Condition")
	if err == nil {
		err = dec.Decode(&doc)
	}
	if err != nil {
		return policy{}, &policyError{-1, "not a policy document of Version, Statement, Effect, Action, Resource and Condition" + principalHint(kind)}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return policy{}, &policyError{-1, "more than one document"}
	}
	if doc.Version != "1" {
		return policy{}, &policyError{-1, `Version must be "1"`}
	}
	if len(doc.Statement) == 0 {
		return policy{}, &policyError{-1, "Statement is missing"}
	}
	var p policy
	for i, raw := range doc.Statement {
		s, err := raw.statement(kind)
		if err != nil {
			return policy{}, &policyError{i, err.Error()}
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

func principalHint(kind policyKind) string {
	if kind == secretPolicy {
		return ", with Principal"
	}
	return ""
}

func (raw statementJSON) statement(kind policyKind) (statement, error) {
	s := statement{deny: raw.Effect == "Deny", actions: raw.Action, resources: raw.Resource}
	switch {
	case raw.Effect != "Allow" && raw.Effect != "Deny":
		return s, errors.New("Effect must be Allow or Deny") //nolint:staticcheck // the name of the key
	case len(raw.Action) == 0 || len(raw.Resource) == 0:
		return s, errors.New("needs Action and Resource")
	case kind == identityPolicy && raw.Principal != nil:
		return s, errors.New("an identity's policy has no Principal")
	case strings.Contains(strings.Join(raw.Resource, ""), "${"):
		return s, errors.New("variables in Resource are not supported")
	}
	if kind == secretPolicy {
		s.principals = raw.Principal["RAM"]
		if len(raw.Principal) != 1 || len(s.principals) == 0 {
			return s, errors.New("needs a Principal of RAM ARNs")
		}
	}
	var err error
	s.conditions, err = parseConditions(raw.Condition)
	return s, err
}
