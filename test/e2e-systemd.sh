#!/usr/bin/env bash
# Boots a minimal Debian with its own systemd in a container, and has test/systemd try
# kmsrun in units there. It takes root, debootstrap and systemd-nspawn (make deps). The
# tree is made once, from where this machine's apt gets its packages, and kept in the
# user's cache; each run works on a copy that is thrown away.
set -euo pipefail
cd "$(dirname "$0")/.."

codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kmsrun
packages=systemd,systemd-sysv,dbus,procps
tree=$cache/$codename-${packages//,/-}

if [ ! -e "$tree/usr/lib/systemd/systemd" ]; then
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $codename" 'Component: main' | head -n 1)
    rm -rf --one-file-system "$tree" "$tree.new"
    mkdir -p "$cache"
    echo "making $tree (once, about two minutes)"
    timeout -k 10 900 debootstrap --variant=minbase --include="$packages" "$codename" "$tree.new" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
        { tail -n 20 "$cache/debootstrap.log"; exit 1; }
    rm -rf "$tree.new"/var/cache/apt/archives/*.deb
    mv "$tree.new" "$tree"
fi

KMSRUN_TEST_SYSTEMD=$tree exec timeout -k 30 600 go test -count 1 -timeout 9m "$@" ./test/systemd
