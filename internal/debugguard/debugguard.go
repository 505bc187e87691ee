// Package debugguard takes DEBUG out of the process's environment before the
// Alibaba SDKs are initialised. They read it once, in package variables, and with
// DEBUG=sdk print every answer of KMS, plaintext included, on stdout.
//
// It imports syscall alone, so that the Go linker's initialisation order (by
// import path among the packages whose imports are ready) runs it before any
// package that needs fmt, net or encoding/json. A test of the built binary holds
// this.
package debugguard

import "syscall"

var value, found = take()

func take() (string, bool) {
	value, found := syscall.Getenv("DEBUG")
	if found {
		// Unsetenv fails only for an empty or malformed name.
		_ = syscall.Unsetenv("DEBUG")
	}
	return value, found
}

// Value is the DEBUG variable that the process was started with: it belongs to
// the child.
func Value() (string, bool) { return value, found }
