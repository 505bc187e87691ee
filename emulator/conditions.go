package emulator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// parseConditions reads the Condition of a statement: all of its operators and keys must hold, each for one of its values.
// An operator or key that is not here is refused, since to ignore it would widen or narrow the statement.
func parseConditions(raw map[string]map[string]texts) ([]condition, error) {
	var all []condition
	for operator, keys := range raw {
		for key, values := range keys {
			one, err := parseCondition(operator, key, values)
			if err != nil {
				return nil, err
			}
			all = append(all, one)
		}
	}
	return all, nil
}

func parseCondition(operator, key string, values texts) (condition, error) {
	if len(values) == 0 {
		return nil, fmt.Errorf("condition %q has no values", key)
	}
	var parse func(operator string, values texts) (condition, error)
	switch key {
	case "acs:SourceIp":
		parse = sourceCondition
	case "acs:CurrentTime":
		parse = timeCondition
	case "acs:SecureTransport":
		parse = secureCondition
	default:
		return nil, fmt.Errorf("condition %q is not supported; known are acs:SourceIp, acs:CurrentTime and acs:SecureTransport", key)
	}
	holds, err := parse(operator, values)
	if err != nil {
		return nil, fmt.Errorf("condition %q of %q: %w", operator, key, err)
	}
	return holds, nil
}

var (
	errOperator       = errors.New("the operator is not supported for this key")
	errConditionValue = errors.New("a value can't be read")
)

func sourceCondition(operator string, values texts) (condition, error) {
	if operator != "IpAddress" && operator != "NotIpAddress" {
		return nil, errOperator
	}
	var prefixes []netip.Prefix
	for _, value := range values {
		if addr, err := netip.ParseAddr(value); err == nil {
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			return nil, errConditionValue
		}
		prefixes = append(prefixes, prefix)
	}
	inside := operator == "IpAddress"
	return func(at circumstances) bool {
		return inside == slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(at.source) })
	}, nil
}

func timeCondition(operator string, values texts) (condition, error) {
	compare := map[string]func(int) bool{
		"DateEquals":            func(c int) bool { return c == 0 },
		"DateNotEquals":         func(c int) bool { return c != 0 },
		"DateLessThan":          func(c int) bool { return c < 0 },
		"DateLessThanEquals":    func(c int) bool { return c <= 0 },
		"DateGreaterThan":       func(c int) bool { return c > 0 },
		"DateGreaterThanEquals": func(c int) bool { return c >= 0 },
	}[operator]
	if compare == nil {
		return nil, errOperator
	}
	var times []time.Time
	for _, value := range values {
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return nil, errConditionValue
		}
		times = append(times, at)
	}
	return func(at circumstances) bool {
		return slices.ContainsFunc(times, func(t time.Time) bool { return compare(at.now.Truncate(time.Second).Compare(t)) })
	}, nil
}

func secureCondition(operator string, values texts) (condition, error) {
	if operator != "Bool" {
		return nil, errOperator
	}
	for _, value := range values {
		if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
			return nil, errConditionValue
		}
	}
	return func(at circumstances) bool {
		return slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, "true") == at.secure })
	}, nil
}
