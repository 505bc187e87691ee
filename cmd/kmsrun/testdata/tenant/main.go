// Tenant is a well-behaved program for a container that holds nothing else: it prints
// what it was given, and when told to stop it does, with a status of its own.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	file := os.Getenv("FILE")
	content, err := os.ReadFile(file)
	fmt.Printf("pid %d uid %d in %s: variable %s, file %s, error %v\n",
		os.Getpid(), os.Getuid(), filepath.Dir(file), os.Getenv("VARIABLE"), content, err)
	if len(os.Args) > 1 { // print, and no more
		return
	}
	<-stop
	os.Exit(7)
}
