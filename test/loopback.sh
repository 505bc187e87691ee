#!/bin/sh
# Runs a command in a network namespace of its own that has nothing but lo, and fails
# if anything in it tried to reach another address. The modules must be there already.
set -eu
if [ "${KMSRUN_TEST_ONLY_LO-}" != inside ]; then
	KMSRUN_TEST_ONLY_LO=inside exec unshare -n "$0" "$@"
fi
ip link set lo up
unset KMSRUN_TEST_ONLY_LO
GOPROXY=off "$@"
# the 12th number after "Ip:" is OutNoRoutes
wanted=$(awk '/^Ip: [0-9]/ {print $13}' /proc/net/snmp)
if [ "$wanted" != 0 ]; then
	echo "tests tried $wanted times to reach an address that is not loopback" >&2
	exit 1
fi
