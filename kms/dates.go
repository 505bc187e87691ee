package kms

import "time"

// dateForms are the shapes in which KMS writes moments, besides RFC 3339 with any
// fraction and offset: one page of its documents has a space for the T, and a
// moment without an offset is UTC.
var dateForms = []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05"}

// date reads a moment, or gives the zero time: no date of KMS is worth failing a
// read for.
func date(text string) time.Time {
	for _, form := range dateForms {
		if at, err := time.Parse(form, text); err == nil {
			return at
		}
	}
	return time.Time{}
}
