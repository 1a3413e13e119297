"""What the ranker plugin costs: `python -m bench.speed.ranker`.

Two things: the board over many streams, one refresh at a time; and the plugin hop by hop on words that are all voice,
so that every step counts, streams spread over the four ticks of a step as calls are that began at any time, and streams
that all began together, where one tick in four has all the work. What a stream and hop costs is the mean of the
thread's own time, so that samples and events, which are rare, count, and the machine's other work does not; medians
and minima are of the clock. A fixed piece of numpy work before and after shows how busy the machine is.
"""

import argparse
import time
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.lending import Lending
from rtemo.api import Block
from rtemo_plugins.ranker.options import RankerOptions
from rtemo_plugins.ranker.plugin import RankerPlugin, RankerProcessor
from rtemo_plugins.ranker.scorer import STEP_HOPS, WORDS

HOP = 160
COUNTS = (1, 16, 64)
_WARM_UP_TICKS = 400


class Who(NamedTuple):
    """A stream of the bench."""

    call: str
    channel: str = "0"
    role: str = "customer"


class Floor:
    """A processor with n streams that all speak all the time.

    Args:
        options: Of the plugin.
        n: Streams.
        is_together: Whether all streams began at the same hop.
    """

    def __init__(self, options: RankerOptions, n: int, is_together: bool) -> None:
        plugin: Any = RankerPlugin(options)
        self.processor: RankerProcessor = plugin.open(Lending(), n)
        for row in range(n):
            self.processor.admit(row)
        random = np.random.default_rng(0)
        self._words = random.standard_normal((64, n, WORDS)).astype(np.float32)
        self._turn = np.zeros(n, np.int64) if is_together else np.arange(n) % STEP_HOPS
        self._marks: dict[str, Any] = {
            "merit.words": np.zeros((n, WORDS), np.float32),
            "merit.voiced": np.ones(n, np.float32),
            "merit.is_fresh": np.zeros(n, np.uint8),
        }
        self._start = np.zeros(n, np.int64)
        samples, flags = np.zeros((n, HOP), np.float32), np.zeros(n, np.uint8)
        streams = tuple(Who(f"call-{row}") for row in range(n))
        self.block = Block(0, samples, np.arange(n), self._start, flags, self._marks, streams=streams)
        self.events = 0

    def run(self, ticks: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the time of every tick in us, by the clock and of the thread alone."""
        taken_us, own_us = np.zeros(ticks), np.zeros(ticks)
        for k in range(ticks):
            self._marks["merit.words"][:] = self._words[k // STEP_HOPS % len(self._words)]
            self._marks["merit.is_fresh"][:] = (self.block.tick + self._turn) % STEP_HOPS == 0
            own_ns, begun_ns = time.thread_time_ns(), time.perf_counter_ns()
            self.processor.process(self.block, self._count)
            taken_us[k] = (time.perf_counter_ns() - begun_ns) / 1e3
            own_us[k] = (time.thread_time_ns() - own_ns) / 1e3
            self.block.tick += 1
            self._start += HOP
        return taken_us, own_us

    def _count(self, *event: object) -> None:
        self.events += 1


def machine_us() -> float:
    """Median of a fixed piece of work, so that the figures of two runs can be compared."""
    work = np.ones((64, 256), np.float32)
    taken = []
    for _ in range(300):
        begun_ns = time.perf_counter_ns()
        np.tanh(work) @ work.T
        taken.append((time.perf_counter_ns() - begun_ns) / 1e3)
    return float(np.median(taken))


def measure_board(options: RankerOptions, rows: int, refreshes: int) -> NDArray[np.float64]:
    """Time whole boards, event included, over streams of which all are known; in us."""
    floor = Floor(options, rows, is_together=False)
    floor.run(_WARM_UP_TICKS)
    taken_us = np.zeros(refreshes)
    block, board = floor.block, floor.processor._board
    left_out = np.zeros(rows, np.bool_)
    scores = np.random.default_rng(1).standard_normal(floor.processor._scorer.score.shape).astype(np.float32)
    period = round(options.board.refresh_s / Lending.format.hop_s)
    block.tick = period
    for k in range(refreshes):
        scores += 0.02 * np.random.default_rng(k).standard_normal(scores.shape).astype(np.float32)
        floor.processor._scorer.score[:] = scores
        begun_ns = time.perf_counter_ns()
        board.show(block, left_out, floor._count)
        taken_us[k] = (time.perf_counter_ns() - begun_ns) / 1e3
    return taken_us


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="ranker", help="name or folder of the bundle")
    parser.add_argument("--seconds", type=float, default=20.0, help="of audio, per number of streams")
    parser.add_argument("--rows", type=int, default=1000, help="streams on the board")
    parser.add_argument("--refreshes", type=int, default=500)
    given = parser.parse_args()
    options = RankerOptions(bundle=given.bundle)
    print(f"fixed work before: {machine_us():.0f} us\n")
    taken_us = measure_board(options, given.rows, given.refreshes)
    print("| board | median, us | best, us | p99, us |\n|---|---|---|---|")
    p99 = np.percentile(taken_us, 99)
    print(f"| {given.rows} streams | {np.median(taken_us):.0f} | {taken_us.min():.0f} | {p99:.0f} |\n", flush=True)
    ticks = STEP_HOPS * max(1, round(25 * given.seconds))
    heads = ("streams", "began", "us per stream and hop", "median tick, us", "dearest of the four, us", "p99, us")
    print(f"| {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|")
    for n in COUNTS:
        for is_together in (False, True) if n > 1 else (True,):
            floor = Floor(options, n, is_together)
            floor.run(_WARM_UP_TICKS)
            all_us, own_us = floor.run(ticks)
            dearest = np.median(all_us.reshape(-1, STEP_HOPS), axis=0).max()
            print(
                f"| {n} | {'together' if is_together else 'at any time'} | {own_us.mean() / n:.2f} | "
                f"{np.median(all_us):.0f} | {dearest:.0f} | {np.percentile(own_us, 99):.0f} |",
                flush=True,
            )
    print(f"\nfixed work after: {machine_us():.0f} us")


if __name__ == "__main__":
    main()
