"""Memory, descriptors and threads over a long run.

`python -m bench.capacity.soak --minutes 90 --calls 16` freewheels: that much time through the whole chain with so many
calls of 90 s at once, so 24 hours of audio; the hours are those of the engine. `--live` is in real time, through
`rtemo serve` and its own clients, and `--opens 10000` opens and ends so many calls there first
(`bench.capacity.soak_live`).

Every `--report-minutes` of the clock what is known so far is printed as one JSON line, so that a run that is broken off
says something too; the last line is the whole.
"""

import argparse
import json
import threading
import time

from bench.capacity import soak_live
from bench.capacity.process_usage import ProcessUsage
from bench.sound import babble
from rtemo.config import load_config
from rtemo.session import PushStream, Session

_CALL_S = 90.0
_PUSH_SAMPLES = 16_000
_SETTLED = 0.1  # the part of a run after which every cache is full


class Freewheel:
    """Calls one after the other, several at once, each ended and replaced when its sound is over.

    Attributes:
        pushed_s: Seconds of engine time so far.
        calls: Calls ended so far.
    """

    def __init__(self, session: Session, at_once: int, duration_s: float) -> None:
        self.pushed_s = 0.0
        self.calls = 0
        self.usage = ProcessUsage()
        self.done = threading.Event()
        self._session = session
        self._duration_s = duration_s
        self._at_once = at_once
        self._sounds = [babble(_CALL_S, seed) for seed in range(min(at_once, 4))]

    def run(self) -> None:
        """Feed until the time is over; on a thread of its own."""
        try:
            slots = [self._open(number) for number in range(self._at_once)]
            places = [number * _PUSH_SAMPLES for number in range(self._at_once)]  # they do not all end together
            while self.pushed_s < self._duration_s:
                for slot in range(self._at_once):
                    sound = self._sounds[slot % len(self._sounds)]
                    if places[slot] >= sound.size:
                        slots[slot].end()
                        self.calls += 1
                        slots[slot], places[slot] = self._open(slot), 0
                    slots[slot].push(sound[places[slot] : places[slot] + _PUSH_SAMPLES])
                    places[slot] += _PUSH_SAMPLES
                self.pushed_s += 1.0
                if self.pushed_s % 10 == 0:
                    self.usage.look(self.pushed_s / 3600)
            for stream in slots:
                stream.end()
        finally:
            self.done.set()

    def _open(self, slot: int) -> PushStream:
        return self._session.stream(f"call-{slot}-{self.calls}")

    def told(self, wall_s: float, events: int) -> dict[str, object]:
        """Tell what is known so far."""
        return {
            "engine_hours": round(self.pushed_s / 3600, 3),
            "audio_hours": round(self.pushed_s * self._at_once / 3600, 2),
            "calls": self.calls,
            "wall_minutes": round(wall_s / 60, 1),
            "times_real_time": round(self.pushed_s * self._at_once / wall_s, 1),
            **self.usage.told(_SETTLED * self.pushed_s / 3600),
            "events": events,
        }


def freewheel(minutes: float, at_once: int, report_s: float) -> None:
    """Run and print."""
    start_s = time.perf_counter()
    events = 0
    with Session(load_config(), mode="freewheel") as session:
        run = Freewheel(session, at_once, minutes * 60)
        feeder = threading.Thread(target=run.run, daemon=True)
        feeder.start()
        report_at_s = start_s + report_s
        while not run.done.is_set():
            for _ in session.events(timeout_s=0.2):
                events += 1
                if time.perf_counter() > report_at_s and run.usage.samples:
                    report_at_s += report_s
                    print(json.dumps(run.told(time.perf_counter() - start_s, events)), flush=True)
        health = session.stop("done")
    counters = {name: getattr(health.counters, name) for name in health.counters.__struct_fields__}
    print(json.dumps({**run.told(time.perf_counter() - start_s, events), "counters": counters}), flush=True)


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="of the engine's time")
    parser.add_argument("--calls", type=int, default=1, help="at once")
    parser.add_argument("--live", action="store_true", help="in real time through `rtemo serve`")
    parser.add_argument("--opens", type=int, default=0, help="calls to open and end before, with --live")
    parser.add_argument("--report-minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    report_s = arguments.report_minutes * 60
    if arguments.live or arguments.opens:
        soak_live.run(arguments.minutes if arguments.live else 0.0, arguments.calls, arguments.opens, report_s)
    else:
        freewheel(arguments.minutes, arguments.calls, report_s)


if __name__ == "__main__":
    main()
