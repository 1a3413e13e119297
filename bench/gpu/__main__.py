"""Streams per card: `python -m bench.gpu [--device cuda] [--rows 1024,4096,…] [--minutes 10] [--out FILE]`.

Parity first: each network against ONNX Runtime on the CPU, hop by hop, with rows that come and go; where one does not
agree, nothing else is measured. Then what copies and products reach on this machine. Then ticks of n rows, as the
plugins run them (the enhancer at every hop, the listener, gem and the ranker every fourth, staggered): p50 and p99 of a
tick, the most rows whose p99 is under the hop of 10 ms, and where the time goes, part by part, against what was
measured. Only the networks run here: what the other plugins take of a tick on the host comes on top (`rtemo bench`).

The time that is left is shared by the sizes that are left, and what there was no time for says so, so that one call
fits a card that is lent for some minutes. Afterwards the sizes between the last that held and the first that did not
are tried.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import msgspec
import torch

import rtemo
from bench.gpu.ceilings import Ceilings, measure_ceilings
from bench.gpu.load import HOP_S, SizeCost, measure_size
from bench.gpu.parity import NETWORKS, Parity, measure_parity
from rtemo.api import ModelError
from rtemo.runtime.store import find
from rtemo.runtime.torch import TorchHandle, open_device

ROWS = {"cuda": (1024, 2048, 4096, 8192, 16_384, 32_768, 65_536), "cpu": (4, 16, 64)}
PRECISIONS = {"cuda": ("half", "float32"), "cpu": ("float32",)}
MINUTE_STEPS = {"merit-enhance": 6_000, "merit-listen": 1_500, "gem": 1_500, "ranker": 1_500}
_PARITY_SHARE = 0.2
_LEAST_S = 0.5
_REFINED = 3
_FINEST_ROWS = 256


class Result(msgspec.Struct, kw_only=True):
    """Everything that was measured."""

    device: str
    torch: str
    cuda: str | None
    rtemo: str
    python: str
    machine: str
    weights: dict[str, str]
    hop_ms: float = HOP_S * 1e3
    seconds: float = 0.0
    parity: list[Parity] = msgspec.field(default_factory=list)
    ceilings: dict[str, Ceilings] = msgspec.field(default_factory=dict)
    sizes: list[SizeCost] = msgspec.field(default_factory=list)
    largest_rows: dict[str, int] = msgspec.field(default_factory=dict)
    """Precision → most rows measured whose p99 is under the hop; 0 when none was."""


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    start_s = time.monotonic()
    end_s = start_s + 60 * options.minutes
    try:
        device = open_device(options.device)
    except ModelError as error:
        print(f"bench.gpu: {error.problem}; --device cpu measures what runs without one", file=sys.stderr)
        return 2
    precisions = options.precision or PRECISIONS[device.type]
    result = Result(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        torch=str(torch.__version__),
        cuda=torch.version.cuda,
        rtemo=rtemo.__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        weights={name: find(name).card.sha256 for name in NETWORKS},
    )
    steps = len(NETWORKS) * len(precisions)
    for precision in precisions:
        for name in NETWORKS:
            seconds = max(start_s + _PARITY_SHARE * (end_s - start_s) - time.monotonic(), 0.0) / steps
            steps -= 1
            result.parity.append(measure_parity(name, options.device, precision, MINUTE_STEPS[name], seconds))
            print(_parity_line(result.parity[-1]), flush=True)
    _write(options.out, result, start_s)
    if not all(parity.agrees for parity in result.parity):
        print("bench.gpu: torch and ONNX Runtime do not agree, so nothing was measured", file=sys.stderr)
        return 1
    for index, precision in enumerate(precisions):
        left_s = (end_s - time.monotonic()) / (len(precisions) - index)
        _measure(result, options, device, precision, time.monotonic() + left_s, start_s)
    _write(options.out, result, start_s)
    return 0


def _measure(
    result: Result,
    options: argparse.Namespace,
    device: torch.device,
    precision: str,
    end_s: float,
    start_s: float,
) -> None:
    """Measure all sizes of one precision, then those at the edge."""
    is_half = precision == "half"
    ceilings = result.ceilings[precision] = measure_ceilings(device, is_half)
    print(f"\n{precision}: " + ", ".join(f"{name} {value:.1f}" for name, value in _known(ceilings)), flush=True)
    handles = {
        name: TorchHandle(find(name).card, find(name).read_weights(), options.device, half=is_half, exact=False)
        for name in NETWORKS
    }
    print(f"{'rows':>7}{'p50 ms':>9}{'p99 ms':>9}  " + "  ".join(("stage", "copy in", "work", "copy out")), flush=True)
    waiting = sorted(options.rows or ROWS[device.type])
    refined = 0
    while waiting:
        rows = waiting.pop(0)
        left_s = end_s - time.monotonic()
        if left_s < _LEAST_S and any(not size.problem for size in result.sizes if size.precision == precision):
            cost = SizeCost(rows=rows, precision=precision, problem="there was no time left")
        else:
            cost = measure_size(handles, rows, precision, ceilings, max(left_s, _LEAST_S) / (len(waiting) + 1.5))
        result.sizes.append(cost)
        print(_size_line(cost), flush=True)
        _write(options.out, result, start_s)
        if not waiting and refined < _REFINED and time.monotonic() < end_s:
            refined += 1
            waiting = _between(result, precision)
    held = [size.rows for size in result.sizes if size.precision == precision and size.holds]
    result.largest_rows[precision] = max(held, default=0)
    print(f"most rows with p99 under {HOP_S * 1e3:g} ms: {result.largest_rows[precision]:,}", flush=True)


def _between(result: Result, precision: str) -> list[int]:
    """The size halfway between the most rows that held and the fewest above that did not, if they are far apart."""
    sizes = [size for size in result.sizes if size.precision == precision and not size.problem]
    low = max((size.rows for size in sizes if size.holds), default=0)
    high = min((size.rows for size in sizes if not size.holds and size.rows > low), default=0)
    middle = (low + high) // 2 // _FINEST_ROWS * _FINEST_ROWS
    return [middle] if low < middle < high else []


def _write(path: Path | None, result: Result, start_s: float) -> None:
    if path is not None:
        result.seconds = time.monotonic() - start_s
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(msgspec.to_builtins(result), indent=1) + "\n")


def _known(ceilings: Ceilings) -> list[tuple[str, float]]:
    return [(name, value) for name, value in msgspec.structs.asdict(ceilings).items() if value is not None]


def _parity_line(parity: Parity) -> str:
    said = "agrees" if parity.agrees else "DOES NOT AGREE"
    return (
        f"{parity.network:<14}{parity.precision:<8} {said}: {parity.steps} steps, worst {parity.worst:.1e}, "
        f"p99 {parity.p99:.1e}, {parity.share_within:.4%} within {parity.limit:g}"
    )


def _size_line(cost: SizeCost) -> str:
    if cost.problem:
        return f"{cost.rows:>7}  not measured: {cost.problem}"
    shares = "  ".join(f"{share:>{width}.0%}" for share, width in zip(cost.shares.values(), (5, 7, 4, 8), strict=True))
    return f"{cost.rows:>7}{cost.p50_ms:>9.2f}{cost.p99_ms:>9.2f}  {shares}  {'holds' if cost.holds else ''}"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--device", default="cuda", help="cuda, cuda:<number> or cpu")
    parser.add_argument("--rows", type=_counts, help="numbers of rows with commas between them")
    parser.add_argument("--precision", type=_precisions, help="half, float32 or both (half on a GPU only)")
    parser.add_argument("--minutes", type=float, default=10.0, help="time for everything")
    parser.add_argument("--out", type=Path, help="JSON file, as bench/baselines/NAME.json")
    return parser.parse_args(arguments)


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(part) for part in text.split(","))
    if min(counts) < 4:
        raise argparse.ArgumentTypeError("at least 4 rows, so that a quarter of them is one")
    return counts


def _precisions(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(","))
    if not set(parts) <= {"half", "float32"}:
        raise argparse.ArgumentTypeError("half, float32 or half,float32")
    return parts


if __name__ == "__main__":
    sys.exit(main())
