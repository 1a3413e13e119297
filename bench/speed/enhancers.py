"""What enhancement costs beside its peers: `python -m bench.speed.enhancers --peers DIR`.

Every system runs in a process of its own, on one thread, pinned to the same core, hop by hop on noisy speech; the
processes take turns, a few seconds each, so that whatever slows the machine slows them all. p50 and p99 are of the
clock, so p99 needs an idle machine; the real-time factor is of processor time, which waiting for the core is no part
of. The last column is the ratio of real-time factors within a round, its median over the rounds: the steadiest figure.

`merit-enhance` is spectrum, network and synthesis; `merit` the whole plugin, which hears emotion as well.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.lending import Lending
from bench.quality.enhancement.peers import PEERS
from bench.sound import babble
from rtemo.api import Block, HopFlag, RtemoError
from rtemo.config import load_config
from rtemo.engine import registry
from rtemo.runtime import ModelStore

Sound = NDArray[np.float32]
OURS = ("merit-enhance", "merit")
BASE = "gtcrn"
_WARM_UP_HOPS = 100


@dataclass(frozen=True)
class Worker:
    """One system, ready for hops."""

    process: Callable[[Sound], Any]
    rate_hz: int
    hop_samples: int
    delay_samples: int


def open_worker(name: str, peers: Path | None, config: Path | None) -> Worker:
    """Open a peer, the plugin `merit`, or its enhancing half.

    Raises:
        RtemoError: What the system needs is missing.
    """
    if name not in OURS:
        if peers is None:
            raise RtemoError("the graphs of the peers are missing", "give their folder with --peers")
        peer = PEERS[name](peers)
        return Worker(peer.process, peer.rate_hz, peer.hop_samples, peer.delay_samples)
    options = load_config(config).plugin_options("merit") if config else {}
    plugin: Any = registry.make("merit", options)
    return _whole(plugin) if name == "merit" else _enhancing_half(options)


def _whole(plugin: Any) -> Worker:
    processor = plugin.open(Lending(), 1)
    processor.admit(0)
    marks: dict[str, Any] = {m.name: np.zeros((1, *m.shape), m.dtype) for m in plugin.spec.provides}
    marks |= {"vad.speech": np.ones(1, np.int8), "vad.voice": np.ones(1, np.int8)}
    samples = np.zeros((1, 160), np.float32)
    start = np.zeros(1, np.int64)
    block = Block(0, samples, np.arange(1), start, np.full(1, HopFlag.NONE, np.uint8), marks)

    def process(hop: Sound) -> None:
        samples[0] = hop
        processor.process(block, lambda *event: None)
        block.tick += 1
        start[0] += 160

    return Worker(process, 16_000, 160, plugin.spec.latency_samples)


def _enhancing_half(options: dict[str, Any]) -> Worker:
    from rtemo_plugins.merit.enhancer import Enhancer
    from rtemo_plugins.merit.front_end import FrontEnd, SpectrumFormat

    model = ModelStore().load(options.get("enhance_bundle", "merit-enhance"))
    format = SpectrumFormat.of(model.card)
    context = np.zeros((1, *model.card.inputs["context"].shape), np.float32)
    enhancer = Enhancer(model, format, context.shape[1:], 0.0, 1)
    front_end = FrontEnd(format, 1, with_bins=enhancer.wants_bins)
    front_end.admit(0)
    enhancer.admit(0)
    samples = np.zeros((1, 160), np.float32)

    def process(hop: Sound) -> None:
        samples[0] = hop
        enhancer.process(front_end.process(samples), context, samples)

    return Worker(process, 16_000, 160, enhancer.latency_samples)


def serve(worker: Worker) -> None:
    """Answer every line that holds seconds of audio with the times of its hops, one JSON line each."""
    size, hop_ms = worker.hop_samples, 1e3 * worker.hop_samples / worker.rate_hz
    sound = babble(10.0, 1, worker.rate_hz)
    sound += np.random.default_rng(2).normal(0, 0.03, sound.size).astype(np.float32)
    hops = sound[: sound.size // size * size].reshape(-1, size)
    for k in range(_WARM_UP_HOPS):
        worker.process(hops[k])
    print(json.dumps({"hop_ms": hop_ms, "latency_ms": hop_ms * (1 + worker.delay_samples / size)}), flush=True)
    k = _WARM_UP_HOPS
    for line in sys.stdin:
        taken_ms = []
        cpu_began_s = time.process_time()
        for _ in range(round(float(line) * 1e3 / hop_ms)):
            hop = hops[k % len(hops)]
            k += 1
            began_ns = time.perf_counter_ns()
            worker.process(hop)
            taken_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
        rtf = (time.process_time() - cpu_began_s) * 1e3 / (len(taken_ms) * hop_ms)
        p50, p99 = np.percentile(taken_ms, [50, 99])
        print(json.dumps({"p50_ms": p50, "p99_ms": p99, "rtf": rtf}), flush=True)


class Child:
    """A system in a process of its own."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name = name
        command = [sys.executable, "-m", "bench.speed.enhancers", "--serve", name, "--core", str(options.core)]
        for flag, value in (("--peers", options.peers), ("--config", options.config)):
            command += [flag, str(value)] if value else []
        threads = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | threads
        )
        self.facts = self._answer()
        self.rounds: list[dict[str, float]] = []

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RtemoError(f"{self.name} did not run", "see its message above, or leave it out with --systems")
        return dict(json.loads(line))

    def turn(self, seconds: float) -> None:
        """Let it work through so much audio."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        self.rounds.append(self._answer())

    def close(self) -> None:
        """Let it go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="folder of the peers' graphs")
    parser.add_argument("--config", type=Path, help="configuration with [plugins.merit]")
    parser.add_argument("--systems", nargs="+", default=(*PEERS, *OURS), choices=(*PEERS, *OURS))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=4.0, help="of audio per turn")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, help="results as JSON")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        os.sched_setaffinity(0, {options.core})
    try:
        if options.serve:
            serve(open_worker(options.serve, options.peers, options.config))
        else:
            measure(options)
    except RtemoError as error:
        sys.exit(str(error))


def measure(options: argparse.Namespace) -> None:
    """Run the rounds and print the table."""
    children = [Child(name, options) for name in options.systems]
    for _ in range(options.rounds):
        for child in children:
            child.turn(options.seconds)
    result: dict[str, dict[str, float]] = {}
    base = next((c for c in children if c.name == BASE), None)
    for child in children:
        child.close()
        medians = {key: float(np.median([r[key] for r in child.rounds])) for key in ("p50_ms", "p99_ms", "rtf")}
        result[child.name] = child.facts | medians
        if base is not None:
            ratios = [mine["rtf"] / its["rtf"] for mine, its in zip(child.rounds, base.rounds, strict=True)]
            result[child.name]["ratio"] = float(np.median(ratios))
    print(f"{options.rounds} rounds of {options.seconds:g} s, core {options.core}\n")
    print(f"| system | hop ms | algorithmic ms | p50 ms | p99 ms | RTF | x {BASE} |\n|---|---|---|---|---|---|---|")
    for name, row in result.items():
        cells = f"{row['hop_ms']:.0f} | {row['latency_ms']:.0f} | {row['p50_ms']:.3f} | {row['p99_ms']:.3f}"
        print(f"| {name} | {cells} | {row['rtf']:.4f} | {row.get('ratio', float('nan')):.2f} |")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
