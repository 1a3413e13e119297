"""How surely the watermark of synthetic speech is found, after which channels, and what genuine speech reaches.

    python -m bench.quality.watermark --data DIR [--genuine 400] [--said 24] [--hours 2]

DIR holds the corpora (`emotion`, `clean`). Genuine clips are drawn over all of them. Synthetic ones are Harvard
sentences, said by each voice of the bundle in turn; depth and weights were chosen on the first six of them. With
--hours so much genuine speech is heard as the plugin `watermark` hears a call, window by window.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from rtemo.dsp.companding import decode_mulaw, encode_mulaw
from rtemo.dsp.resample import resample
from rtemo.dsp.watermark import RATE_HZ, THRESHOLD, find_watermark
from rtemo.runtime import ModelStore
from rtemo.voice.service import VoiceService
from rtemo.voice.style import read_style
from rtemo_plugins.watermark.options import WatermarkOptions
from rtemo_plugins.watermark.work import WINDOW_S

SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It is easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
)

Samples = NDArray[np.float32]
STRIDE_SAMPLES = round(WatermarkOptions().stride_s * RATE_HZ)
WINDOW_SAMPLES = round(WINDOW_S * RATE_HZ)


def through_mulaw(samples: Samples) -> tuple[Samples, int]:
    return decode_mulaw(encode_mulaw(np.clip(resample(samples, RATE_HZ, 8_000), -1, 1))), 8_000


def through_codec(container: str, coding: str, **settings: float) -> Callable[[Samples], tuple[Samples, int]]:
    def coded(samples: Samples) -> tuple[Samples, int]:
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, RATE_HZ, coding, format=container, **settings)
        buffer.seek(0)
        heard, rate_hz = soundfile.read(buffer, dtype="float32")
        return heard, rate_hz

    return coded


def in_noise(snr_db: float) -> Callable[[Samples], tuple[Samples, int]]:
    def noisy(samples: Samples) -> tuple[Samples, int]:
        noise = np.random.default_rng(len(samples)).standard_normal(len(samples)).astype(np.float32)
        gain = np.sqrt(np.mean(samples**2) / 10 ** (snr_db / 10))
        return samples + np.float32(gain) * noise, RATE_HZ

    return noisy


CHANNELS: dict[str, Callable[[Samples], tuple[Samples, int]]] = {
    "as it is": lambda samples: (samples, RATE_HZ),
    "mu-law 8 kHz": through_mulaw,
    "MP3 low rate": through_codec("MP3", "MPEG_LAYER_III", compression_level=0.9),
    "Opus": through_codec("OGG", "OPUS", compression_level=0.95),
    "noise 20 dB": in_noise(20.0),
    "noise 10 dB": in_noise(10.0),
    "first 1.5 s": lambda samples: (samples[: round(1.5 * RATE_HZ)], RATE_HZ),
}


def genuine_clips(data: Path, count: int) -> Iterator[tuple[str, Samples]]:
    paths = sorted(path for part in ("emotion", "clean") for path in (data / part).rglob("*.opus"))
    random = np.random.default_rng(0)
    for place in random.choice(len(paths), min(count, len(paths)), replace=False):
        samples, _ = soundfile.read(paths[place], dtype="float32", always_2d=True)
        yield paths[place].name, np.ascontiguousarray(samples[:, 0])


def windows_of(samples: Samples) -> Iterator[Samples]:
    """Cut speech as the plugin's lane does."""
    for end in range(STRIDE_SAMPLES, len(samples) + 1, STRIDE_SAMPLES):
        yield samples[max(0, end - WINDOW_SAMPLES) : end]


def hear_hours(data: Path, hours: float) -> None:
    """Print how often the plugin would alarm in genuine speech."""
    clips, long = [], 0
    for _, samples in genuine_clips(data, 1_000_000):
        clips.append(samples)
        long += len(samples)
        if long >= hours * 3600 * RATE_HZ:
            break
    speech = np.concatenate(clips)
    for name in ("as it is", "mu-law 8 kHz"):
        heard, rate_hz = CHANNELS[name](speech)
        heard = heard if rate_hz == RATE_HZ else resample(heard, rate_hz, RATE_HZ)
        begun_s = time.process_time()
        scores = [find_watermark(window).score for window in windows_of(heard)]
        took_s, long_s = time.process_time() - begun_s, len(heard) / RATE_HZ
        wrong = sum(score >= THRESHOLD for score in scores)
        print(
            f"  {name:<14} {long_s / 3600:.2f} h of genuine speech, {len(scores)} windows: found in {wrong}, ", end=""
        )
        print(f"highest score {max(scores):.1f}; {1e3 * took_s / long_s:.1f} ms of a processor per second")


def upper_bound(found: int, of: int) -> float:
    """95 % upper bound of a rate (Wilson 1927)."""
    z, share = 1.645, found / of
    middle = share + z * z / (2 * of)
    return (middle + z * np.sqrt(share * (1 - share) / of + z * z / (4 * of * of))) / (1 + z * z / of)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--genuine", type=int, default=400)
    parser.add_argument("--said", type=int, default=24)
    parser.add_argument("--hours", type=float, default=0.0)
    asked = parser.parse_args()
    scores = [find_watermark(samples).score for _, samples in genuine_clips(asked.data, asked.genuine)]
    wrong = sum(score >= THRESHOLD for score in scores)
    print(
        f"genuine  {len(scores)} clips: found in {wrong} (at most {upper_bound(wrong, len(scores)):.1%} at 95 %), ",
        end="",
    )
    print(f"highest score {max(scores):.1f}, threshold {THRESHOLD:g}")
    if asked.hours:
        hear_hours(asked.data, asked.hours)
    service = VoiceService(ModelStore().voice("kokoro"))
    names = list(service.voice.voices)
    said, first_ms, first_wall_ms, took_s = [], [], [], 0.0
    for index in range(asked.said):
        style = read_style(names[index % len(names)], service.voice.voices, "kokoro")
        begun_s, begun_wall_s = time.process_time(), time.perf_counter()
        parts: list[Samples] = []
        for part in service.stream(SENTENCES[index % len(SENTENCES)], style):
            if part.samples.size and not parts:
                first_ms.append(1e3 * (time.process_time() - begun_s))
                first_wall_ms.append(1e3 * (time.perf_counter() - begun_wall_s))
            parts.append(part.samples)
        took_s += time.process_time() - begun_s
        said.append(np.concatenate(parts))
    long_s = sum(map(len, said)) / RATE_HZ
    print(f"synthetic {len(said)} sentences, {long_s:.0f} s; RTF {took_s / long_s:.2f} of one processor, ", end="")
    print(f"first audio after {np.median(first_ms):.0f} ms of it (median), {max(first_ms):.0f} at most; ", end="")
    print(f"by the clock {np.median(first_wall_ms):.0f} ms (median), {min(first_wall_ms):.0f} at least")
    for name, channel in CHANNELS.items():
        scores = [find_watermark(*channel(samples)).score for samples in said]
        found = np.mean([score >= THRESHOLD for score in scores])
        print(f"  {name:<14} found {found:6.1%}   median score {np.median(scores):5.1f}   lowest {min(scores):5.1f}")


if __name__ == "__main__":
    main()
