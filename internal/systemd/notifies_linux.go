package systemd

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
)

// Notifies tells whether a process or one of its descendants could speak to the manager
// though it has not yet: whether the name NOTIFY_SOCKET is in what it executes, be that
// its own or libsystemd's. Of an interpreter's script this says nothing.
func Notifies(pid int) bool {
	looked := map[string]bool{}
	for _, of := range descendants(pid) {
		dir := "/proc/" + strconv.Itoa(of)
		maps, _ := os.ReadFile(dir + "/maps")
		for line := range strings.Lines(string(maps)) {
			fields := strings.SplitN(strings.TrimSpace(line), " ", 6)
			if len(fields) < 6 || !strings.Contains(fields[1], "x") {
				continue
			}
			path := strings.TrimSpace(fields[5])
			if !strings.HasPrefix(path, "/") || looked[path] {
				continue
			}
			looked[path] = true
			if holds(dir+"/root"+path, "NOTIFY_SOCKET") {
				return true
			}
		}
	}
	return false
}

// descendants lists a process and those that descend from it.
func descendants(pid int) []int {
	entries, _ := os.ReadDir("/proc")
	var all []int
	for _, entry := range entries {
		if of, err := strconv.Atoi(entry.Name()); err == nil && descends(of, pid) {
			all = append(all, of)
		}
	}
	return all
}

// holds tells whether a word is in a file.
func holds(path, word string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	buffer := make([]byte, 256<<10)
	kept := 0 // the end of what was read before: the word may lie across
	for {
		n, err := io.ReadFull(file, buffer[kept:])
		text := buffer[:kept+n]
		if bytes.Contains(text, []byte(word)) {
			return true
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) || n == 0 {
			return false
		}
		kept = copy(buffer, text[max(len(text)-len(word), 0):])
	}
}
