//go:build !crashpoints

package render

// crashPoint is a step at which a test build can be killed.
func crashPoint() {}
