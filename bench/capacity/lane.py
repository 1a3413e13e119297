"""Cost of a worker lane to the ticks of many live streams: with a lane and without, by turns in one run.

python -m bench.capacity.lane --streams 64 --seconds 20

With `--kinds none --chain vad,listener` it tells how that plugin's own lane fares.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec
import numpy as np

from bench.sound import babble
from rtemo.api import Emit, Finding, Health, LaneContext, LaneSpec, LaneWork, PluginContext, PluginSpec, Window
from rtemo.config import Config
from rtemo.engine.engine import Engine
from rtemo.engine.registry import make
from rtemo.runtime.store import ModelStore


class LaneOptions(msgspec.Struct, frozen=True):
    """Options of the lane that is measured."""

    busy_s: float = 0.3
    kind: str = "thread"


def open_sleep(context: LaneContext, options: LaneOptions) -> LaneWork:
    """Make work that takes `busy_s` per batch, as a model that has left the interpreter does."""

    def work(windows: Sequence[Window]) -> list[Any]:
        time.sleep(options.busy_s)
        return [float(np.square(window.samples).mean()) for window in windows]

    return work


class _Processor:
    def __init__(self) -> None:
        self.findings = 0

    def tell(self, finding: Finding, emit: Emit) -> None:
        self.findings += 1

    def process(self, block: Any, emit: Emit) -> None: ...
    def admit(self, row: int) -> None: ...
    def retire(self, row: int, last: int) -> None: ...
    def reset(self, rows: Any, reason: Any) -> None: ...
    def close(self) -> None: ...


class LanePlugin:
    """Asks for one lane: windows of a second, two a second, of every stream."""

    options_type: ClassVar[type[msgspec.Struct]] = LaneOptions
    spec = PluginSpec(name="lane-bench", reads_audio=False)  # its lane hears what entered the chain

    def __init__(self, options: LaneOptions) -> None:
        self._options = options

    def open(self, context: PluginContext, capacity: int) -> _Processor:
        """Ask for the lane."""
        processor = _Processor()
        spec = LaneSpec(name="sleep", window_s=1.0, stride_s=0.5, kind=self._options.kind)  # type: ignore[arg-type]
        context.lane(spec, open_sleep, processor.tell, self._options)
        return processor


def measure(streams: int, seconds: float, kind: str, chain: Sequence[str]) -> dict[str, Any]:
    """Run that many live streams; tell tick times, what was skipped, and the age of findings."""
    config = Config()
    plugins: list[Any] = [make(name, config.plugins.get(name)) for name in chain]
    if kind != "none":
        plugins.append(LanePlugin(LaneOptions(kind=kind)))
    options = msgspec.structs.replace(config.engine, capacity=streams, owns_process=True, health_interval_s=seconds)
    engine = Engine(plugins, options, open_store=ModelStore)
    engine.open()
    engine.start()
    sound = babble(seconds + 2.0)
    writers = [engine.open_stream(f"call-{number}", "0") for number in range(streams)]
    start_s = time.perf_counter()
    packet = 320
    for number in range(int(seconds * 50) + 20):
        due_s = start_s + 0.02 * number
        time.sleep(max(0.0, due_s - time.perf_counter()))
        for writer in writers:
            writer.write(sound[number * packet : (number + 1) * packet])
    health = [event.data for event in engine.outbox.take(0.0) if isinstance(event.data, Health)][-1]
    engine.stop("end")
    lanes = health.lanes
    return {
        "lane": kind,
        "tick_p50_us": health.tick_p50_us,
        "tick_p99_us": health.tick_p99_us,
        "late_p99_us": health.late_p99_us,
        "xruns": health.counters.xruns,
        "age_p50_ms": lanes[0].age_p50_ms if lanes else None,
        "age_p99_ms": lanes[0].age_p99_ms if lanes else None,
        "batch_mean": lanes[0].batch_mean if lanes else None,
        "lane_skipped": lanes[0].lane_skipped if lanes else None,
        "history_bytes_per_stream": health.history_bytes_per_stream,
    }


def main() -> None:
    """Print one line per run and the ratios of the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chain", default=",".join(Config().chain))
    parser.add_argument(
        "--kinds", nargs="+", choices=("none", "thread", "process"), default=("none", "thread", "process")
    )
    args = parser.parse_args()
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in args.kinds}
    for _ in range(args.rounds):
        for kind, found in rows.items():
            found.append(measure(args.streams, args.seconds, kind, args.chain.split(",")))
            print(json.dumps(found[-1]), flush=True)
    if "none" not in rows:
        return
    base = statistics.median(row["tick_p99_us"] for row in rows["none"])
    for kind in rows.keys() - {"none"}:
        ratio = statistics.median(row["tick_p99_us"] for row in rows[kind]) / base
        print(f"tick p99 with a {kind} lane / without: {ratio:.3f}")


if __name__ == "__main__":
    from bench.capacity import lane  # under its own name, by which a process finds the work it is to do

    lane.main()
