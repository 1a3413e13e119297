"""Memory and counters over a long run: `python -m bench.capacity.soak --minutes 60`.

Freewheels that much audio through the whole chain in calls of 90 s; prints resident memory, its slope after the first
tenth, and the final counters.
"""

import argparse
import json
import threading
import time
from pathlib import Path

import numpy as np

from bench.sound import babble
from rtemo.config import load_config
from rtemo.session import Session

_CALL_S = 90.0


def resident_mib() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """Run and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    arguments = parser.parse_args()
    sound = babble(_CALL_S, 1)
    calls = round(arguments.minutes * 60 / _CALL_S)
    samples: list[tuple[float, float]] = []
    start_s = time.perf_counter()
    events = 0
    with Session(load_config(), mode="freewheel") as session:

        def feed() -> None:
            for call in range(calls):
                stream = session.stream(f"call-{call}")
                for at in range(0, sound.size, 16_000):
                    stream.push(sound[at : at + 16_000])
                stream.end()
                samples.append((call * _CALL_S / 60, resident_mib()))
            done.set()

        done = threading.Event()
        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        while not done.is_set():
            for _ in session.events(timeout_s=0.2):
                events += 1
        health = session.stop("done")
    wall_s = time.perf_counter() - start_s
    minutes, memory = np.array(samples[len(samples) // 10 :]).T
    slope = float(np.polyfit(minutes, memory, 1)[0]) * 60 if len(minutes) > 2 else float("nan")
    print(
        json.dumps(
            {
                "audio_minutes": calls * _CALL_S / 60,
                "wall_s": round(wall_s, 1),
                "times_real_time": round(calls * _CALL_S / wall_s, 1),
                "memory_first_mib": round(memory[0], 1),
                "memory_last_mib": round(memory[-1], 1),
                "memory_slope_mib_per_audio_hour": round(slope, 3),
                "events": events,
                "counters": {name: getattr(health.counters, name) for name in health.counters.__struct_fields__},
            }
        )
    )


if __name__ == "__main__":
    main()
