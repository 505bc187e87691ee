//go:build linux && kmsrun_exact

package asfound

import _ "unsafe" // for go:linkname

// The linker allows these names only with -checklinkname=0; make build and make image
// set it and the tag.

//go:linkname fwdSig runtime.fwdSig
var fwdSig [65]uintptr

//go:linkname initSigmask runtime.initSigmask
var initSigmask uint64

// replaced tells whether a signal that the runtime handles now was ignored before.
func replaced(n int) bool { return fwdSig[n] == ignore }

func blocked() Set { return Set(initSigmask) }
