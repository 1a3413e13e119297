"""Who tells the emotion while the load rises and falls: `python -m bench.capacity.swing --streams 16,128,16`.

So many live streams at a time, for so long each; all of them speak. Every five seconds a line of JSON says how many
turns ended, who told each, and how ticks and lanes fared.
"""

import argparse
import json
import threading
import time
from collections import Counter

import msgspec
import numpy as np

from bench.sound import babble
from rtemo.api import Health, StreamWriter
from rtemo.config import Config, load_config
from rtemo.session import Session

_PACKET_SAMPLES = 320
_LINE_S = 5.0


class _Feeder(threading.Thread):
    """Feeds as many streams as it is told to, in packets of 20 ms."""

    def __init__(self, session: Session) -> None:
        super().__init__(daemon=True)
        self.wanted = 0
        self.is_over = False
        self._session = session
        self._sounds = [babble(20.0, seed) for seed in range(16)]

    def run(self) -> None:
        """Feed until it is over."""
        writers: list[StreamWriter] = []
        opened = packet = 0
        start_s = time.perf_counter()
        while not self.is_over:
            while len(writers) < self.wanted:
                writers.append(self._session.engine.open_stream(f"call-{opened}", "0", prefill_s=0.04))
                opened += 1
            while len(writers) > self.wanted:
                writers.pop(0).end("end")
            for number, writer in enumerate(writers):
                sound = self._sounds[number % len(self._sounds)]
                at = (packet * _PACKET_SAMPLES + 4567 * number) % (sound.size - _PACKET_SAMPLES)
                writer.write(sound[at : at + _PACKET_SAMPLES])
            packet += 1
            time.sleep(max(0.0, start_s + packet * 0.02 - time.perf_counter()))


def measure(config: Config, counts: list[int], seconds: float) -> None:
    """Run so many streams one after the other, and print the lines."""
    engine = msgspec.structs.replace(config.engine, capacity=2 * max(counts), owns_process=True)
    with Session(msgspec.structs.replace(config, engine=engine)) as session:
        feeder = _Feeder(session)
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
        feeder.is_over = True
        feeder.join()


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
