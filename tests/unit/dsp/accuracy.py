"""Print how right pitch and speech rate are where the truth is known: `python tests/unit/dsp/accuracy.py`."""

import numpy as np
from numpy.typing import NDArray
from speech import PANGRAM, RATE_HZ, SYLLABLES, espeak, vowel, with_noise

from rtemo.dsp.pitch import VOICED, PitchTracker
from rtemo.dsp.rate import SpeechRate

Track = tuple[NDArray[np.float32], NDArray[np.bool_]]


def track(samples: NDArray[np.floating]) -> Track:
    tracker = PitchTracker(1)
    hops = (samples[None, k : k + 160].astype(np.float32) for k in range(0, samples.size - 159, 160))
    found = [(pitch.hz[0], pitch.voicing[0]) for pitch in map(tracker.process, hops)]
    return np.array([hz for hz, _ in found]), np.array([voicing >= VOICED for _, voicing in found])


def row(name: str, tracks: list[tuple[Track, float]]) -> str:
    gross = [np.mean(np.abs(hz[voiced] / true_hz - 1.0) > 0.2) for (hz, voiced), true_hz in tracks]
    voiced = [np.mean(voiced) for (_, voiced), _ in tracks]
    return f"| {name} | {100 * np.mean(gross):.2f} % | {100 * np.mean(voiced):.0f} % |"


def pitch_rows() -> list[str]:
    rows = []
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    vibrato = 1.0 + 0.05 * np.sin(2 * np.pi * 5.0 * time_s)
    for snr_db in (60, 20, 10, 5, 0):
        tracks = [
            (track(with_noise(vowel(hz * vibrato), snr_db, seed)), hz)
            for seed, hz in enumerate((90.0, 130.0, 190.0, 260.0))
        ]
        rows.append(row(f"vowels, {snr_db} dB", tracks))
    for snr_db in (60, 20, 10, 5, 0):
        tracks = []
        for setting in ("20", "50", "80", "99"):
            clean = espeak(f'<prosody range="0%">{PANGRAM}</prosody>', "-v", "en-us", "-p", setting)
            hz, voiced = track(clean)
            tracks.append((track(with_noise(clean.astype(np.float64), snr_db)), float(np.median(hz[voiced]))))
        rows.append(row(f"monotone espeak-ng, {snr_db} dB", tracks))
    noise = np.random.default_rng(0).standard_normal(60 * RATE_HZ) * 0.1
    rows.append(f"| white noise | - | {100 * np.mean(track(noise)[1]):.2f} % |")
    return rows


def rate_rows() -> list[str]:
    rows = []
    for words_per_min in (80, 120, 160, 220, 300, 400):
        peaks, syllables, seconds = 0, 0, 0.0
        for voice in ("en-us", "en-gb+f3"):
            for text, count in SYLLABLES.items():
                clip = np.pad(espeak(text, "-v", voice, "-s", str(words_per_min)), (0, 3_200))
                rate = SpeechRate(1)
                peaks += sum(
                    int(rate.process(clip[None, k : k + 160]).peaks[0]) for k in range(0, clip.size - 159, 160)
                )
                syllables += count
                seconds += clip.size / RATE_HZ
        rows.append(
            f"| {words_per_min} | {syllables / seconds:.2f} | {peaks / seconds:.2f} | {peaks / syllables:.2f} |"
        )
    return rows


if __name__ == "__main__":
    print("| signal | gross pitch errors (over 20 %) | frames voiced |\n|---|---:|---:|")
    print("\n".join(pitch_rows()))
    print("\n| words/min | syllables/s | peaks/s | ratio |\n|---:|---:|---:|---:|")
    print("\n".join(rate_rows()))
