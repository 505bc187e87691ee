package systemd

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Notifies tells whether a process or one of its descendants could speak to the manager
// though it has not yet: whether the name NOTIFY_SOCKET is in what it executes, be that
// its own or libsystemd's. Of an interpreter's script this says nothing. It is true too
// when there was no time to find out.
func Notifies(ctx context.Context, pid int) bool {
	looked := map[string]bool{}
	for _, of := range descendants(pid) {
		dir := "/proc/" + strconv.Itoa(of)
		root, err := os.OpenRoot(dir + "/root")
		if err != nil {
			continue
		}
		maps, _ := os.ReadFile(dir + "/maps")
		for line := range strings.Lines(string(maps)) {
			path := executed(line)
			if path == "" || looked[path] {
				continue
			}
			looked[path] = true
			if holds(ctx, root, path, "NOTIFY_SOCKET") {
				_ = root.Close()
				return true
			}
		}
		_ = root.Close()
	}
	return ctx.Err() != nil
}

// executed is the file that a line of /proc/PID/maps has executable code of, less the
// slash before it; empty for none, or one that has no name any more.
func executed(line string) string {
	fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 6)
	if len(fields) < 6 || !strings.Contains(fields[1], "x") || strings.HasSuffix(line, " (deleted)\n") {
		return ""
	}
	path, found := strings.CutPrefix(strings.TrimLeft(fields[5], " "), "/")
	if !found {
		return ""
	}
	return path
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

// holds tells whether a word is in a file. What lies there is the program's choice by
// now: no link is followed at its end, no pipe waited for, and nothing read for ever.
func holds(ctx context.Context, root *os.Root, path, word string) bool {
	if info, err := root.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	file, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return false
	}
	buffer := make([]byte, 256<<10)
	kept := 0 // the end of what was read before: the word may lie across
	for ctx.Err() == nil {
		n, err := io.ReadFull(file, buffer[kept:])
		text := buffer[:kept+n]
		if bytes.Contains(text, []byte(word)) {
			return true
		}
		if err != nil {
			return false
		}
		kept = copy(buffer, text[len(text)-len(word):])
	}
	return false
}
