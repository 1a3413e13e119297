#!/bin/sh
# Installs what the tests of devices, speech, telephony and pages use, where that is allowed; otherwise those tests skip themselves.
set -eu
packages="espeak-ng pulseaudio pulseaudio-utils libasound2-plugins libportaudio2 tmux ffmpeg chromium"
missing=""
for package in $packages; do
    dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
    echo "rtemo: tests that need$missing will be skipped (no apt-get here)" >&2
    exit 0
fi
if [ "$(id -u)" = 0 ]; then
    run=""
elif sudo -n true 2>/dev/null; then
    run="sudo -n"
else
    echo "rtemo: tests that need$missing will be skipped; to run them: sudo apt-get install$missing" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
if ! { $run apt-get update -qq && $run apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1; then
    echo "rtemo: could not install$missing; tests that need them will be skipped" >&2
fi
