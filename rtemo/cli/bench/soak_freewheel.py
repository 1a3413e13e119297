"""Long runs in freewheel: hours of calls in minutes, all of the engine and nothing of the network."""

import threading
import time
from collections.abc import Callable

from rtemo.cli.bench.process_usage import ProcessUsage
from rtemo.cli.stopping import stop_if_told
from rtemo.config import Config
from rtemo.dsp.voice import nonsense
from rtemo.push_stream import PushStream
from rtemo.session import Session

_CALL_S = 90.0
_PUSH_SAMPLES = 16_000
_SETTLED = 0.1  # the part of a run after which every cache is full
_LOOKS = 20  # at least


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
        self._look_s = max(1.0, min(10.0, duration_s // _LOOKS))
        self._sounds = [nonsense(_CALL_S, seed=seed) for seed in range(min(at_once, 4))]

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
                if self.pushed_s % self._look_s == 0:
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
            "what": "freewheel",
            "engine_hours": round(self.pushed_s / 3600, 3),
            "audio_hours": round(self.pushed_s * self._at_once / 3600, 2),
            "calls": self.calls,
            "wall_minutes": round(wall_s / 60, 1),
            "times_real_time": round(self.pushed_s * self._at_once / wall_s, 1),
            **self.usage.told(_SETTLED * self.pushed_s / 3600),
            "events": events,
        }


def freewheel(
    config: Config, minutes: float, at_once: int, report_s: float, report: Callable[[dict[str, object]], None]
) -> None:
    """Run calls one after the other, several at once, as fast as the machine allows.

    Args:
        config: Chain and options.
        minutes: Of the engine's time.
        at_once: Calls.
        report_s: Time of the clock between two reports.
        report: Receives what is known so far, and at last the whole.

    Raises:
        RtemoError: The chain cannot be opened.
    """
    start_s = time.perf_counter()
    events = 0
    with Session(config, mode="freewheel") as session:
        run = Freewheel(session, at_once, minutes * 60)
        feeder = threading.Thread(target=run.run, daemon=True)
        feeder.start()
        report_at_s = start_s + report_s
        while not run.done.is_set():
            stop_if_told()
            for _ in session.events(timeout_s=0.2):
                events += 1
                if time.perf_counter() > report_at_s and run.usage.samples:
                    report_at_s += report_s
                    report(run.told(time.perf_counter() - start_s, events))
        health = session.stop("done")
    run.usage.look(run.pushed_s / 3600)
    counters = {name: getattr(health.counters, name) for name in health.counters.__struct_fields__}
    report({**run.told(time.perf_counter() - start_s, events), "counters": counters})
