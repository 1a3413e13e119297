"""What the vad plugin costs: `python -m bench.speed.vad`.

The whole plugin, one thread, hop by hop, all streams begun together: the worst case, since all their windows are full
in the same tick. Windows are 3.2 hops long, so the cost is the mean over 16 hops, the median of many such stretches;
beside it the dearest tick of the 16. Once on speech in noise, once on digital
silence. Time is that of the thread, which bears a busy machine.
"""

import argparse
import time

import numpy as np

from bench.lending import Lending
from rtemo.api import Block
from rtemo.dsp.voice import nonsense
from rtemo.engine import registry

COUNTS = (1, 16, 64, 256)
HOP, STRETCH_HOPS = 160, 16


def measure(options: dict, sounds: np.ndarray, stretches: int) -> tuple[float, float]:
    """Give the cost per stream and hop, and of the dearest tick per stream, in us."""
    n = len(sounds)
    plugin = registry.make("vad", options)
    processor = plugin.open(Lending(), n)
    for row in range(n):
        processor.admit(row)
    marks = {mark.name: np.zeros((n, *mark.shape), mark.dtype) for mark in plugin.spec.provides}
    rows, flags = np.arange(n), np.zeros(n, np.uint8)
    hops = sounds.shape[1] // HOP
    took_us = np.zeros((stretches + 6, STRETCH_HOPS))
    for k in range(took_us.size):
        at = k % hops * HOP
        samples = np.ascontiguousarray(sounds[:, at : at + HOP])
        block = Block(k, samples, rows, np.full(n, k * HOP), flags, marks)
        start_ns = time.thread_time_ns()
        processor.process(block, lambda *_: None)
        took_us.flat[k] = (time.thread_time_ns() - start_ns) / 1e3
    took_us = took_us[6:]
    return float(np.median(took_us.mean(axis=1))) / n, float(np.median(took_us.max(axis=1))) / n


def main() -> None:
    """Measure both back ends and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stretches", type=int, default=120)
    arguments = parser.parse_args()
    print("| back end | sound | streams | us per stream and hop | dearest tick, us per stream |\n|---|---|---|---|---|")
    for back_end in ("webrtc", "silero"):
        for sound in ("speech", "silence"):
            for n in COUNTS:
                sounds = np.zeros((n, 63_840), np.float32)
                if sound == "speech":
                    sounds[:] = np.stack([nonsense(9.0, seed=k % 16)[:63_840] for k in range(n)])
                cost_us, tick_us = measure({"back_end": back_end}, sounds, arguments.stretches)
                print(f"| {back_end} | {sound} | {n} | {cost_us:.2f} | {tick_us:.2f} |")


if __name__ == "__main__":
    main()
