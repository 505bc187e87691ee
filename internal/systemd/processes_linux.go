package systemd

import (
	"bytes"
	"os"
	"strconv"
)

// parentOf is the parent of a process, or 0.
func parentOf(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name of the command, in parentheses, may hold anything.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1]))
	return parent
}

// descends tells whether a process is a descendant of another, or that itself.
func descends(pid, from int) bool {
	for pid > 1 && pid != from {
		pid = parentOf(pid)
	}
	return pid == from
}
