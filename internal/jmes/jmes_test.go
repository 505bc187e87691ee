package jmes

import (
	"errors"
	"strings"
	"testing"
)

const document = `{"name": "app", "ratio": 1.10, "big": 12345678901234567890, "bigger": 12345678901234567891, "same": 1.1,
	"flag": false, "none": null, "text": "<&>",
	"hosts": [{"name": "b", "port": 5432.0}, {"name": "a", "port": 80}], "map": {"z": 1, "y": 2, "x": 3}}`

func TestSearch(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"name":                            `"app"`,
		"ratio":                           `1.10`,
		"[ratio, same, big, bigger]":      `[1.10,1.1,12345678901234567890,12345678901234567891]`,
		"flag":                            `false`,
		"text":                            `"<&>"`,
		"hosts[0].port":                   `5432.0`,
		"hosts[?name=='b'].port | [0]":    `5432.0`,
		"hosts[?port > `80`].port | [0]":  `5432.0`,
		"hosts[?port < `100`].name | [0]": `"a"`,
		"sort_by(hosts, &port)[0].port":   `80`,
		"max_by(hosts, &port).port":       `5432.0`,
		"sum(hosts[].port)":               `5512`,
		"length(hosts)":                   `2`,
		"map.*":                           `[3,2,1]`,
		"map.* | [0]":                     `3`,
		"keys(map)":                       `["x","y","z"]`,
		"values(map)":                     `[3,2,1]`,
		"items(map)[0]":                   `["x",3]`,
		"{b: ratio, a: name}":             `{"a":"app","b":1.10}`,
		"join(',', hosts[].name)":         `"b,a"`,
		"`1.50`":                          `1.5`,
	} {
		for range 5 { // whatever the order of a map
			got, err := Search(expression, []byte(document))
			if string(got) != want || err != nil {
				t.Errorf("%s: got %s, %v, want %s", expression, got, err, want)
			}
		}
	}
}

func TestSearchFails(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]error{
		"none": ErrNothing, "gone.deeper": ErrNothing, "name.*": ErrNothing,
		"abs(name)": errFails, "&name": errFails, "sum(@)": errFails,
		"ratio + `0`": errTwoSpellings,
	} {
		if got, err := Search(expression, []byte(document)); !errors.Is(err, want) || strings.Contains(err.Error(), "app") {
			t.Errorf("%s: got %s, %v, want %v", expression, got, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]int{"a.b[?c=='d']": -1, "a..b": 2, "a[": 2, "f(a)": 0, "a | nope(b)": 4, "'x": 2, "": 0, "a b": 2} {
		err := Check(expression)
		fault, bad := errors.AsType[*Fault](err)
		if bad != (want >= 0) || bad && fault.Offset != want {
			t.Errorf("%s: got %+v, want offset %d", expression, err, want)
		}
	}
}

func FuzzSearch(f *testing.F) {
	for _, expression := range []string{"a.b", "map.*", "hosts[?port > `80`] | [0]", "sort_by(hosts, &port)", "let $a = b in $a", "{a: b}", "hosts[::-1]", "'", "`"} {
		f.Add(expression)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		first, err := Search(expression, []byte(document))
		again, _ := Search(expression, []byte(document))
		if err == nil && string(first) != string(again) {
			t.Errorf("%s: got %s, then %s", expression, first, again)
		}
	})
}
