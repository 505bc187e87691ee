// Package debugguard takes DEBUG and AGEDEBUG out of the process's environment before
// the libraries that heed them are initialised. With DEBUG=sdk the Alibaba SDKs, which
// read it once, in package variables, print every answer of KMS, plaintext included, on
// stdout; with AGEDEBUG=plugin filippo.io/age prints identities and file keys on stderr.
//
// It imports syscall alone, so that the Go linker's initialisation order (by
// import path among the packages whose imports are ready) runs it before any
// package that needs fmt, net or encoding/json. A test of the built binary holds
// this.
package debugguard

import "syscall"

var variables = take("DEBUG", "AGEDEBUG")

func take(names ...string) (taken []string) {
	for _, name := range names {
		if value, found := syscall.Getenv(name); found {
			taken = append(taken, name+"="+value)
			// Unsetenv fails only for an empty or malformed name.
			_ = syscall.Unsetenv(name)
		}
	}
	return taken
}

// Variables are those that were taken, as NAME=value: they belong to the child.
func Variables() []string { return variables }
