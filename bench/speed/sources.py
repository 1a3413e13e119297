"""Speed of the sources: decoding and conversion of files, the microphone's pump, raw PCM.

    python -m bench.speed.sources

Prints one line per case; the figures are the median of five runs on one thread.
"""

import io
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from bench.fakes.desk import FakeDesk, play
from bench.fakes.portaudio import HEADSET, FakePortAudio
from rtemo.io.pcm import BYTES_PER_SAMPLE, encode_pcm
from rtemo.io.sources.file import FileSource
from rtemo.io.sources.microphone import MicrophoneSource
from rtemo.io.sources.stdin import StdinSource

DURATION_S = 60
RUNS = 5


def median_s(work: Callable[[], None]) -> float:
    """Median time of `work`, after one run that does not count."""
    work()
    times_s = []
    for _ in range(RUNS):
        start_s = time.perf_counter()
        work()
        times_s.append(time.perf_counter() - start_s)
    return statistics.median(times_s)


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'case':44}{'seconds of audio per second':>30}")
    with tempfile.TemporaryDirectory() as folder:
        for suffix, rate_hz, channels in (
            ("wav", 8_000, 2),
            ("wav", 16_000, 1),
            ("wav", 44_100, 1),
            ("wav", 48_000, 2),
            ("flac", 8_000, 2),
            ("flac", 16_000, 1),
            ("mp3", 16_000, 1),
            ("ogg", 48_000, 2),
        ):
            path = Path(folder, f"a.{suffix}")
            with soundfile.SoundFile(path, "w", rate_hz, channels) as file:  # libsndfile's Vorbis dies of large blocks
                for _ in range(DURATION_S):
                    file.write(0.01 * rng.standard_normal((rate_hz, channels)))
            spent_s = median_s(lambda path=path: play(FileSource(path), FakeDesk(ring_samples=80_000)) and None)
            print(f"{f'file, {suffix}, {channels} x {rate_hz} Hz':44}{channels * DURATION_S / spent_s:30,.0f}")
    samples = (0.1 * rng.standard_normal(DURATION_S * 16_000)).astype(np.float32)
    for sample_type in BYTES_PER_SAMPLE:
        data = encode_pcm(samples, sample_type)
        spent_s = median_s(
            lambda data=data, kind=sample_type: (
                play(StdinSource(io.BytesIO(data), 16_000, 1, kind), FakeDesk()) and None
            )
        )
        print(f"{f'raw PCM, {sample_type}, 16000 Hz':44}{DURATION_S / spent_s:30,.0f}")
    print()
    port = FakePortAudio(HEADSET)
    source = MicrophoneSource(backend=port, clock_ns=port.clock)
    source.open(FakeDesk(is_live=True))
    block = np.zeros((480, 2), np.float32)
    pump_us, idle_us = [], []
    for _ in range(5_000):
        port.stream.play(block)
        start_ns = time.perf_counter_ns()
        source.pump()
        middle_ns = time.perf_counter_ns()
        source.pump()
        idle_us.append((time.perf_counter_ns() - middle_ns) * 1e-3)
        pump_us.append((middle_ns - start_ns) * 1e-3)
    source.close()
    print(
        f"microphone, pump with 10 ms of 2 x 48000 Hz: p50 {np.percentile(pump_us, 50):.0f} us, "
        f"p99 {np.percentile(pump_us, 99):.0f} us; with nothing new: p50 {np.percentile(idle_us, 50):.1f} us"
    )


if __name__ == "__main__":
    main()
