#!/bin/sh
# Plays the example call through `rtemo listen` and shows beside it what a subscriber receives over ZeroMQ.
set -eu
rtemo=$1
endpoint=$2
here=$(cd "$(dirname "$0")/.." && pwd)
received=$(mktemp)
trap 'kill "$subscriber" 2>/dev/null || true; rm -f "$received"' EXIT INT TERM
"$rtemo" subscribe "$endpoint" --json --wait 60 >"$received" 2>/dev/null &
subscriber=$!
"$rtemo" listen "$here/examples/call.flac" --publish "$endpoint"
sleep 0.5
kill "$subscriber" 2>/dev/null || true
wait "$subscriber" 2>/dev/null || true
echo
echo "A subscriber on $endpoint received $(wc -l <"$received") events over ZeroMQ; the last about emotion:"
grep '"kind":"emotion"' "$received" | tail -n 3 || true
