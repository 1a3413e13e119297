"""The stack that somebody would build instead, beside the chain: `python -m bench.capacity.peers_stack --help`.

Silero finds speech (every 32 ms), UL-UNAS enhances it (16 ms), eGeMAPS describes it (3 s of it twice a second) and
AASIST tells synthetic voices (4 s of it every 2 s): each as its authors give it, on one thread. Rounds take turns with
rounds of `rtemo bench`, so that whatever slows the machine slows both; all of it is processor time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.peers import egemaps
from bench.quality.enhancement.peers import PEERS
from bench.quality.spoof.aasist import WINDOW_SAMPLES, Aasist
from bench.sound import babble
from rtemo.api import RtemoError

RATE_HZ = 16_000
SILERO_SAMPLES = 512
EGEMAPS_S, EGEMAPS_EVERY_S = 3.0, 0.5
AASIST_EVERY_S = 2.0


class Part(NamedTuple):
    """One part of the stack.

    Attributes:
        name: What it is.
        work: Works on the audio that it is given at once.
        samples: How much that is.
        every_s: How often, per stream.
    """

    name: str
    work: Callable[[NDArray[np.float32]], Any]
    samples: int
    every_s: float


def stack(peers: Path, aasist: Path) -> list[Part]:
    """Open every part.

    Raises:
        RtemoError: Something is missing.
    """
    import torch
    from silero_vad import load_silero_vad

    torch.set_num_threads(1)
    vad = load_silero_vad(onnx=True)
    enhancer = PEERS["ulunas"](peers)
    return [
        Part("silero", lambda x: vad(torch.from_numpy(x), RATE_HZ), SILERO_SAMPLES, SILERO_SAMPLES / RATE_HZ),
        Part("UL-UNAS", enhancer.process, enhancer.hop_samples, enhancer.hop_samples / enhancer.rate_hz),
        Part("eGeMAPS", egemaps(), round(EGEMAPS_S * RATE_HZ), EGEMAPS_EVERY_S),
        Part("AASIST", Aasist(aasist), WINDOW_SAMPLES, AASIST_EVERY_S),
    ]


def cost_ms_per_s(part: Part, sound: NDArray[np.float32], seconds: float) -> float:
    """Processor time of a part for a second of one stream, in ms."""
    times = max(1, round(seconds / part.every_s))
    began_s = time.process_time()
    for number in range(times):
        at = number * part.samples % (len(sound) - part.samples)
        part.work(sound[at : at + part.samples])
    return 1e3 * (time.process_time() - began_s) / (times * part.every_s)


def ours_ms_per_s(streams: int, seconds: float, more: Sequence[str]) -> float:
    """Processor time of the chain `small` for a second of one stream, in ms.

    Raises:
        RtemoError: `rtemo bench` has failed.
    """
    words = ["-m", "rtemo", "bench", "--chain", "small", "--streams", str(streams), "--seconds", str(seconds), "--json"]
    done = subprocess.run([sys.executable, *words, *more], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RtemoError("rtemo bench has failed", done.stderr.strip().splitlines()[-1] if done.stderr else "")
    found = json.loads(done.stdout.splitlines()[0])
    return 1e3 * found["tick_cpu_us"] / found["hop_us"] / streams


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="folder with ulunas_stream.onnx")
    parser.add_argument("--aasist", type=Path, required=True, help="checkout of AASIST with its weights")
    parser.add_argument("--streams", type=int, default=64, help="of ours")
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio in a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    try:
        run(options)
    except RtemoError as error:
        sys.exit(f"{error}")


def run(options: argparse.Namespace) -> None:
    """Measure in turns, and print medians."""
    parts = stack(options.peers, options.aasist)
    sound = babble(30.0, 1, RATE_HZ)
    rows: dict[str, list[float]] = {part.name: [] for part in parts}
    chains = {"small, events alone, half speech": ("--speech", "0.5"), "small, audio of all enhanced": ("--audio",)}
    rows |= {name: [] for name in chains}
    for part in parts:
        cost_ms_per_s(part, sound, part.every_s)  # what is done once
    for _ in range(options.rounds):
        for part in parts:
            rows[part.name].append(cost_ms_per_s(part, sound, options.seconds))
        for name, more in chains.items():
            rows[name].append(ours_ms_per_s(options.streams, options.seconds, more))
    whole = [sum(costs) for costs in zip(*(rows[part.name] for part in parts), strict=True)]
    print("| | ms of a processor for 1 s of a stream | streams a core | the stack's cost by ours, each round |")
    print("|---|---|---|---|")
    for part in parts:
        print(f"| {part.name} | {statistics.median(rows[part.name]):.2f} | | |")
    print(f"| the stack | {statistics.median(whole):.1f} | {1e3 / statistics.median(whole):.1f} | 1 |")
    for name in chains:
        cost = statistics.median(rows[name])
        ratios = ", ".join(f"{stack / ours:.0f}" for stack, ours in zip(whole, rows[name], strict=True))
        print(f"| {name} | {cost:.2f} | {1e3 / cost:.0f} | {ratios} |")


if __name__ == "__main__":
    main()
