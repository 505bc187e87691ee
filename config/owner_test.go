package config

import "testing"

func TestOwner(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Owner{
		"":                     {},
		"app":                  {User: "app"},
		"app:web":              {User: "app", Group: "web"},
		":web":                 {Group: "web"},
		"1000:0":               {User: "1000", Group: "0"},
		"a-b.c_$":              {User: "a-b.c_$"},
		"1000app:":             {User: "refused"},
		":":                    {User: "refused"},
		"a b":                  {User: "refused"},
		"../x":                 {User: "refused"},
		"99999999999999999999": {User: "refused"},
	} {
		var got Owner
		if err := got.UnmarshalText([]byte(text)); err != nil {
			got = Owner{User: "refused"}
		}
		if got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
		if got == want && want.User != "refused" && got.String() != text {
			t.Errorf("%q is written %q", text, got)
		}
	}
}

func TestOwnerOfItem(t *testing.T) {
	t.Parallel()
	all := Files{Owner: Owner{User: "app", Group: "app"}}
	if got, want := all.OwnerOf(Item{}), (Owner{User: "app", Group: "app"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := all.OwnerOf(Item{Owner: Owner{Group: "web"}}), (Owner{Group: "web"}); got != want {
		t.Errorf("an owner of its own replaces that of all as a whole: got %+v, want %+v", got, want)
	}
}

func TestDirMode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]DirMode{"auto": 0, "0700": 0o700, "755": 0o755, "0600": 1, "0720": 1, "0702": 1, "1777": 1, "": 1} {
		got := DirMode(1) // refused
		_ = got.UnmarshalText([]byte(text))
		if got != want {
			t.Errorf("%q: got %#o, want %#o", text, got, want)
		}
	}
}
