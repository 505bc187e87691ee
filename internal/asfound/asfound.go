// Package asfound knows which signals this process found ignored and blocked when it
// began, and begins other programs with the same: a wrapper must not show.
//
// The Go runtime overwrites both before any code of ours runs. It keeps what it found
// (runtime.fwdSig, runtime.initSigmask), which exact.go reads in builds that the
// linker allows to; other builds know less, as inexact.go says.
//
// A child gets them through a stage: the forked process is this binary again, with
// [StageArg] for an argument. The initialisation of this package then restores
// everything and executes the program, and main never runs. So it imports little: its
// place in the order of initialisation, which is by import path among the packages
// whose imports are ready, is near the first. What debugguard took before is put back.
package asfound

// State is which signals a process finds ignored and blocked.
type State struct {
	Ignored, Blocked Set
}

// Set is a set of signals: bit n-1 stands for signal n.
type Set uint64

// Has tells whether signal n is in the set.
func (s Set) Has(n int) bool { return n > 0 && n <= 64 && s>>(n-1)&1 == 1 }

// With is the set and signal n.
func (s Set) With(n int) Set { return s | 1<<(n-1) }

// None tells whether nothing was found that differs from the default.
func (s State) None() bool { return s == State{} }

// Here is what this process found.
func Here() State { return here }
