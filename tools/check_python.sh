#!/bin/sh
# Says in one line what is missing before a virtual environment can be made.
set -eu
python=$1
if ! command -v "$python" >/dev/null 2>&1; then
    echo "rtemo: there is no '$python' here; install Python 3.11 or newer, or run: make PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "rtemo: $("$python" --version) is too old; 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "rtemo: '$python' cannot make virtual environments; on Debian: apt-get install python3-venv" >&2
    exit 1
fi
