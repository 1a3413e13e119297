#!/bin/sh
# Locks the packages of the Node example, without the address of a registry. Arguments: install (keep versions) or update.
set -eu
cd "$(dirname "$0")/../examples/node"
if ! command -v npm >/dev/null 2>&1; then
    echo "rtemo: examples/node stays locked as it is: there is no npm here" >&2
    exit 0
fi
npm "$1" --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund --silent
echo "examples/node/package-lock.json: $(grep -c integrity package-lock.json) packages"
