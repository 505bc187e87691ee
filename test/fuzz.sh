#!/bin/sh
# Runs every fuzz target of the packages given after the time (or count) for each.
# The go command now and then ends a timed run with "context deadline exceeded" and
# no failing input: that is the end of the time, not a finding.
set -u
time=$1
shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for package in "$@"; do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz'); do
		echo "fuzzing $package $target for $time"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 100x "$package" >"$log" 2>&1
		status=$?
		tail -n 4 "$log"
		if [ $status -ne 0 ] && { grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; }; then
			cat "$log"
			exit 1
		fi
	done
done
