#!/bin/sh
# Plays the example call through `rtemo listen` and shows beside it what a subscriber receives over ZeroMQ.
# Fails when the subscriber received nothing.
set -eu
rtemo=$1
endpoint=$2
here=$(cd "$(dirname "$0")/.." && pwd)
received=$(mktemp)
complaint=$(mktemp)
trap 'kill "$subscriber" 2>/dev/null || true; rm -f "$received" "$complaint"' EXIT
trap 'exit 130' INT TERM
subscriber=
"$rtemo" warm || true # a cache that cannot be written is said; the kernels are compiled again by what follows
# It waits as long as it takes for the publisher to be ready, and is ended below.
"$rtemo" subscribe "$endpoint" --json --wait 600 >"$received" 2>"$complaint" &
subscriber=$!
"$rtemo" listen "$here/examples/call.flac" --roles caller,user,speaker --publish "$endpoint"
tries=0 # the last event may still be on its way
until grep -q '"kind":"session_end"' "$received" || [ "$tries" -ge 50 ] || ! kill -0 "$subscriber" 2>/dev/null; do
    sleep 0.1
    tries=$((tries + 1))
done
kill "$subscriber" 2>/dev/null || true
wait "$subscriber" 2>/dev/null || true
count=$(wc -l <"$received")
echo
if [ "$count" -eq 0 ]; then
    echo "demo: the subscriber on $endpoint received nothing. $(cat "$complaint")" >&2
    exit 1
fi
echo "A subscriber on $endpoint received $count events over ZeroMQ (rtemo subscribe shows them); the last about emotion:"
event='.*"call":"([^"]*)","channel":"([^"]*)".*"t1_ms":([0-9]+).*"label":"([^"]*)".*'
grep '"kind":"emotion"' "$received" | tail -n 3 | sed -E "s|$event|  \1/\2 at \3 ms: \4|" || true
