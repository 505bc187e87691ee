package config

import (
	"slices"
	"strings"
	"testing"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	c, err := Load(Source{File: "testdata/shapes.yaml", Environ: []string{"ALIBABA_CLOUD_REGION=cn-hangzhou"}, Overrides: []Override{
		{[]string{"env", "PIN"}, "acs:kms:eu-1:1:secret/a?version=v1#jmes:a.b", "--env PIN"},
		{[]string{"on_change", "files"}, "HUP", "--on-file-change"},
		{[]string{"http", "listen"}, ":9153", "--listen"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range c.Explain(Watched) {
		got = append(got, strings.Join([]string{u.Kind, u.Name, u.Secret, u.Selector, u.Stage, u.Version, u.Region, u.Auth, u.As, u.Absent, u.Change}, "|"))
	}
	const here, stays, restarts, flips = "cn-hangzhou|default", "the program does not start", "restarts the program", "new file, then SIGHUP"
	want := []string{
		"variable|A|plain|k|ACSCurrent||" + here + "|env|" + stays + "|" + restarts,
		"variable|B|said|k|ACSCurrent||" + here + "|env|" + stays + "|" + restarts,
		"variable|C|custom|k|blue||" + here + "|env|" + stays + "|" + restarts,
		"variable|FILE|as/file||ACSCurrent||" + here + "|file|" + stays + "|" + flips,
		"variable|LACKS|may/lack||ACSCurrent||" + here + "|env|the default|" + restarts,
		"variable|PIN|acs:kms:eu-1:1:secret/a|jmes:a.b||v1|eu-1|default|env|" + stays + "|never: pinned",
		"variables|A_*|from|*|ACSCurrent||" + here + "|env|" + stays + "|" + restarts,
		"variables|A_*|from|*|ACSCurrent||" + here + "|env|" + stays + "|" + restarts,
		"file|app.ini|in/template|k|ACSCurrent||" + here + "|template|" + stays + "|" + flips,
		"file|app.ini|may/lack||ACSCurrent||" + here + "|template|left out|" + flips,
		"file|env|from|*|ACSCurrent||" + here + "|dotenv|" + stays + "|" + flips,
		"file|inline|inline||ACSCurrent||" + here + "|template|" + stays + "|" + flips,
		"file|page|forgotten||ACSCurrent||" + here + "|template|" + stays + "|" + flips,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	doubts := strings.Join(c.Doubts(), "\n")
	for _, want := range []string{"is pinned to a version", "http.listen: :9153 is not loopback: other machines reach it; it serves probes and metrics only"} {
		if !strings.Contains(doubts, want) {
			t.Errorf("got %s, want %s", doubts, want)
		}
	}
}

// What a change does, for each action; a variable with as=file is no item of its name.
func TestExplainActions(t *testing.T) {
	t.Parallel()
	c, err := Load(Source{File: "testdata/actions.yaml", Environ: []string{"ALIBABA_CLOUD_REGION=cn-hangzhou"}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, u := range c.Explain(Watched) {
		got[u.Kind+" "+u.Name] = u.Change
	}
	for name, want := range map[string]string{
		"variable same": "new file, then a restart", "file same": "new file, then SIGHUP", "file none": "new file", "file post": "new file, then a POST",
		"file process": "new file, then SIGUSR1 to nginx", "file pid": "new file, then signal 40 to the process in /run/a.pid",
		"file exec": "new file, then nginx", "file touch": "new file, then a touch of /tmp/a", "variable V": "none: a running program can't be given a variable",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}
