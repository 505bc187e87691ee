package main

import (
	"os"
	"testing"
)

// most is how large the binary may become, in bytes: it is copied into every pod.
// What makes it jump is a package that looks methods up by name, since the linker
// then keeps all methods of everything.
const most = 20_000_000

func TestBinarySize(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > most {
		t.Errorf("the binary: got %d bytes, want at most %d", info.Size(), most)
	}
}
