"""What the listener's lane costs: `python -m bench.speed.listener`.

Windows as the lane gives them, 3 s of sound each, through log-mel and network, in batches of one processor's thread;
and what that is for every second of speech at the default stride. Time of the process, not of the clock.
"""

import argparse
import time

import numpy as np

from rtemo.api import Window
from rtemo.runtime import ModelStore
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.stretches import Stretches
from rtemo_plugins.listener.work import FRAME_SAMPLES, Work, window_frames

COUNTS = (1, 2, 4, 8, 16)
RATE_HZ = 16_000


class _Stream:
    call, channel, role = "a", "0", ""

    def __init__(self, number: int) -> None:
        self.id = number


class _Lent:
    def __init__(self) -> None:
        self.model = ModelStore().load


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", default="merit-large")
    parser.add_argument("--runs", type=int, default=8, help="of every batch; the best counts")
    options = parser.parse_args()
    lent, settings, stretches = _Lent(), ListenerOptions(bundle=options.bundle), Stretches()
    samples = window_frames(lent.model(options.bundle), options.bundle) * FRAME_SAMPLES
    work = Work(lent, settings, stretches)
    random = np.random.default_rng(0)
    print("| windows at once | ms a window | ms a second of speech and stream | streams a core |")
    print("|---|---|---|---|")
    for n in COUNTS:
        streams = [_Stream(k) for k in range(n)]
        for stream in streams:
            stretches.begin(stream.id, 0)
        sound = (0.1 * random.standard_normal((n, samples))).astype(np.float32)
        best_ms = float("inf")
        for run in range(1, options.runs + 1):
            at = run * RATE_HZ // 2
            windows = [Window(stream, sound[k], at, "stride") for k, stream in enumerate(streams)]
            began = time.process_time()
            work(windows)
            best_ms = min(best_ms, (time.process_time() - began) * 1e3 / n)
        per_s = best_ms / settings.stride_s
        print(f"| {n} | {best_ms:.1f} | {per_s:.1f} | {1000 / per_s:.0f} |")


if __name__ == "__main__":
    main()
