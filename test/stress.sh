#!/bin/sh
# Runs the tests of processes RUNS times, or as often as LIMIT (such as 40m) allows,
# and prints the count. The first failure ends it, with its output. With -race every other
# run has a kmsrun that detects races, too; the others have the one that users get.
#   stress.sh RUNS LIMIT [-race]
set -eu
runs=$1 limit=$(($(echo "$2" | sed 's/m$/*60/; s/s$//; s/h$/*3600/'))) race=${3-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
processes='^Test(Unseen|UnseenInContainer|EndsTheSame|Inexact|EverySignal|FaultSignals|ExitStatus|ReapsOrphans|Leftovers|TermDuringFetch|ClosedStderr|StalledStderr|HandledStopSignal|Killed|InheritsIgnoredChild|Nohup|ListenPID|OtherUser|Stops|Reraise|Terminal.*)$'
go test -c $race -o "$dir/kmsrun.test" ./cmd/kmsrun
go test -c $race -o "$dir/inject.test" ./inject
go test -c $race -o "$dir/proc.test" ./internal/proc
begin=$(date +%s) done=0
while [ $done -lt "$runs" ] && [ $(($(date +%s) - begin)) -lt $limit ]; do
	if [ -n "$race" ] && [ $((done % 2)) = 1 ]; then export KMSRUN_TEST_RACE=1; else unset KMSRUN_TEST_RACE; fi
	for package in cmd/kmsrun inject internal/proc; do
		pattern=.
		[ $package = cmd/kmsrun ] && pattern=$processes
		if ! (cd $package && "$dir/$(basename $package).test" -test.count 1 -test.parallel 6 -test.timeout 5m -test.run "$pattern" >"$dir/log" 2>&1); then
			cat "$dir/log"
			echo "stress: FAILED in $package, in run $((done + 1)) of $runs"
			exit 1
		fi
	done
	done=$((done + 1))
done
echo "stress: $done runs of $runs, no failure, in $(($(date +%s) - begin)) s ${race:-without -race}"
