//go:build !linux

package asfound

import (
	"errors"
	"os/signal"
	"syscall"
)

// Elsewhere nothing is known, and the stage does not exist.
var here State

// Exec replaces this process by a program. It returns only on failure.
func (s State) Exec(path string, argv, environ []string) error {
	return syscall.Exec(path, argv, environ)
}

// Block does nothing here.
func Block(syscall.Signal) (undo func()) { return func() {} }

// Unblock does nothing here.
func Unblock(syscall.Signal) (undo func()) { return func() {} }

// SetDefault sets a signal to its default action.
func SetDefault(n syscall.Signal) (undo func()) {
	signal.Reset(n)
	return func() {}
}

// Stage is what happens between the fork and the program.
type Stage struct {
	Signals State
	PIDs    []string
	Sockets []int
}

// Become replaces this process by the program, by way of a stage.
func (Stage) Become(string, []string, []string) error { return errors.New("child.sockets take Linux") }
