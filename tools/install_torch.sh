#!/bin/sh
# Installs torch by the version in requirements/torch.txt, the CPU build where one is to be had. Arguments: python.
# What it depends on is in requirements/test.txt by hash already, hence --no-deps.
set -eu
python=$1
here=$(cd "$(dirname "$0")/.." && pwd)
"$python" -m pip install --quiet --disable-pip-version-check --no-deps \
    ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --requirement "$here/requirements/torch.txt"
if "$python" -c 'import torch' 2>/dev/null; then
    exit 0
fi
# On Linux on x86-64 the package index has a build for GPUs alone, which cannot be imported without the libraries of its maker.
echo "rtemo: this torch is the build for GPUs and needs several GB of libraries; without them: make test TORCH_INDEX=URL," >&2
echo "rtemo: where URL is the index of CPU builds that pytorch.org/get-started names" >&2
exec "$python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --requirement "$here/requirements/torch-gpu.txt"
