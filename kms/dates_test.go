package kms

import (
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 2, 21, 15, 39, 26, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-02-21T15:39:26Z":          want,
		"2026-02-21T15:39:26.58616562Z": want.Add(586165620),
		"2026-02-21T23:39:26+08:00":     want,
		"2026-02-21 15:39:26Z":          want,
		"2026-02-21 15:39:26":           want,
		"2026-02-21T15:39:26":           want,
		"":                              {},
		"soon":                          {},
		"2026-02-30T00:00:00Z":          {},
	} {
		if got := date(text); !got.Equal(want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
