"""Who tells the emotion while the load rises and falls: `python -m bench.capacity.swing --streams 16,128,16`.

So many live streams at a time, for so long each; all of them speak. Every five seconds a line of JSON says how many
turns ended, who told each, and how ticks and lanes fared.
"""

import argparse
import json
import time
from collections import Counter

import msgspec
import numpy as np

from rtemo.api import Health
from rtemo.cli.bench.feeder import Feeder
from rtemo.config import Config, load_config
from rtemo.session import Session

_LINE_S = 5.0


def measure(config: Config, counts: list[int], seconds: float) -> None:
    """Run so many streams one after the other, and print the lines."""
    engine = msgspec.structs.replace(config.engine, capacity=2 * max(counts), owns_process=True)
    with Session(msgspec.structs.replace(config, engine=engine)) as session:
        feeder = Feeder(session.engine, 0)
        feeder.start()
        told: Counter[str] = Counter()
        p99s_us: list[float] = []
        health = session.health()
        start_s = time.perf_counter()
        line = 0
        for event in session.events(timeout_s=2.0):
            now_s = time.perf_counter() - start_s
            feeder.wanted = counts[min(int(now_s / seconds), len(counts) - 1)]
            if isinstance(event.data, Health):
                p99s_us.append(event.data.tick_p99_us)
            elif event.kind == "emotion" and event.data.is_final:  # type: ignore[union-attr]
                told[event.plugin] += 1
            if now_s >= (line + 1) * _LINE_S:
                line += 1
                before, health = health, session.health()
                lane = health.lanes[0] if health.lanes else None
                row = {
                    "at_s": round(now_s, 1),
                    "streams": feeder.wanted,
                    "turns_told_by": dict(told),
                    "tick_p99_us": round(float(np.median(p99s_us)), 1),
                    "xruns": health.counters.xruns - before.counters.xruns,
                    "lane_skipped": lane.lane_skipped if lane else 0,
                    "lane_age_p99_ms": round(lane.age_p99_ms, 1) if lane else None,
                }
                print(json.dumps(row), flush=True)
                told, p99s_us = Counter(), []
            if now_s >= seconds * len(counts):
                break
        feeder.stop()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", default="16,128,16", help="how many at a time, one after the other")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    arguments = parser.parse_args()
    counts = [int(part) for part in arguments.streams.split(",")]
    measure(load_config(None, arguments.settings), counts, arguments.seconds)


if __name__ == "__main__":
    main()
